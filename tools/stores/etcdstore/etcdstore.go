// Package etcdstore keeps a token's secret under one key of etcd. Copy this
// file.
package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Store is a store with versions. Its Version is the revision that last changed
// the key.
type Store struct {
	KV  clientv3.KV
	Key string
}

type value struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Note   string `json:"note"`
}

// Load reads the key.
func (s Store) Load(ctx context.Context) (lifecycle.Credential, error) {
	response, err := s.KV.Get(ctx, s.Key)
	if err != nil {
		return lifecycle.Credential{}, err
	}
	if len(response.Kvs) == 0 {
		return lifecycle.Credential{Version: "0"}, nil
	}
	var v value
	if json.Unmarshal(response.Kvs[0].Value, &v) != nil {
		return lifecycle.Credential{}, errors.New("the key does not hold a credential") // json's error could repeat it
	}
	return lifecycle.Credential{
		ID: v.ID, Secret: sailpoint.NewSecret(v.Secret), Note: v.Note,
		Version: strconv.FormatInt(response.Kvs[0].ModRevision, 10),
	}, nil
}

// Save puts the key if nobody changed it since.
func (s Store) Save(ctx context.Context, c lifecycle.Credential) error {
	revision, err := strconv.ParseInt(c.Version, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: the version is not this store's: use what Load returned", lifecycle.ErrNotStored)
	}
	content, err := json.Marshal(value{c.ID, c.Secret.Reveal(), c.Note})
	if err != nil {
		return lifecycle.ErrNotStored
	}
	response, err := s.KV.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(s.Key), "=", revision)).
		Then(clientv3.OpPut(s.Key, string(content))).
		Commit()
	switch {
	case err != nil:
		return err // it may be stored
	case !response.Succeeded:
		return lifecycle.ErrStoreConflict
	}
	return nil
}
