package redisfleet_test

import (
	"context"
	"log"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/redisfleet"
)

// Every process that runs this shares the quota and the bearer of one PAT.
func ExampleJoin() {
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		log.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379", Username: "fleet", Password: os.Getenv("REDIS_PASSWORD")})
	cfg, err = redisfleet.Join(cfg, redisfleet.Options{Redis: rdb})
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	pats, err := client.PersonalAccessTokens.List(context.Background(), sailpoint.ListPersonalAccessTokensOptions{})
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%d tokens", len(pats))
}

// Another program rotates the PAT of this fleet with lifecycle.Rotate and the
// same store.
func ExampleJoin_rotatedPAT() {
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		log.Fatal(err)
	}
	reader, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	cfg.ClientID, cfg.ClientSecret = "", sailpoint.Secret{} // those in the store are used
	cfg.TokenSource = lifecycle.TokenSource(reader, &lifecycle.FileStore{Path: "/run/secrets/pat.json"})

	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	cfg, err = redisfleet.Join(cfg, redisfleet.Options{
		Redis:   rdb,
		Fleet:   "reports",
		SealKey: sailpoint.NewSecret(os.Getenv("FLEET_SEAL_KEY")), // openssl rand -hex 32
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.PersonalAccessTokens.Self(context.Background()); err != nil {
		log.Fatal(err)
	}
}
