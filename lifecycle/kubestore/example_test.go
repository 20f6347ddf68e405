package kubestore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
)

// A job in the cluster that rotates its own token. It isn't run here, because
// it needs a cluster.
func Example() {
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
	config.IDKey, config.SecretKey = "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET" // the names that readers expect
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
