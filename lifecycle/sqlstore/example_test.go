package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/sqlstore"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// A token whose secret is in a row of a database.
func Example() {
	ctx := context.Background()
	client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(&database{rows: map[string]row{}}) // takes the place of sql.Open("pgx", dataSource)
	defer db.Close()

	store, err := sqlstore.New(sqlstore.Config{DB: db, Name: "deploy"})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := lifecycle.Issue(ctx, client, sailpoint.CreatePersonalAccessTokenRequest{
		Name: "deploy", Scope: []string{"sp:my-personal-access-tokens:read"},
	}, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Outcome, result.Token.Name)
	// Output: issued deploy
}
