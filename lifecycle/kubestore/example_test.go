package kubestore_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// A job in the cluster that rotates its own token. It isn't run here, because
// it needs a cluster.
func ExampleInCluster() {
	ctx := context.Background()
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}

	config, err := kubestore.InCluster() // the address, the namespace, and the token and CA of the service account
	if err != nil {
		log.Fatal(err)
	}
	config.Name = "sailpoint-deploy"
	config.IDKey, config.SecretKey = "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET" // leave this out if sailpat rotates: it uses id and secret
	store, err := kubestore.New(config)
	if err != nil {
		log.Fatal(err)
	}
	result, err := lifecycle.Rotate(ctx, client, store, lifecycle.RotateOptions{IfOlderThan: 30 * 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Outcome)
}

// A token whose secret is in a Secret of a cluster, from a program outside it.
func Example() {
	ctx := context.Background()
	client, err := sailpoint.NewClient(sailpointtest.NewTenant().Config())
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewTLSServer(&cluster{secrets: map[string]*secret{}}) // takes the place of the API server
	defer server.Close()

	store, err := kubestore.New(kubestore.Config{
		Address: server.URL, Namespace: "ci", Name: "deploy",
		Token:      func(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret(clusterToken), nil },
		HTTPClient: server.Client(), // or of rest.HTTPClientFor of k8s.io/client-go
	})
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
