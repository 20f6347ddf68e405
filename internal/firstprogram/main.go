// Command firstprogram is the first program of the README.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/sailpoint-go/sailpoint"
)

func main() {
	cfg, err := sailpoint.LoadConfig() // from SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or from config.json
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	mine := sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe}
	for token, err := range client.PersonalAccessTokens.All(context.Background(), mine) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(token.Name, token.Scope)
	}
}
