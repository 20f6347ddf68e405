package kubestore

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle/internal/storehttp"
)

const (
	serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"
	inClusterAddress     = "https://kubernetes.default.svc"
)

// InCluster returns a Config for a program that runs in a pod. It has the
// namespace, the certificate authority and the bearer token of the pod's
// service account. Set Name yourself. The bearer token is read again before
// each request, because the cluster replaces it every hour. The Address is
// https://kubernetes.default.svc, which needs the cluster's DNS.
func InCluster() (Config, error) { return FromServiceAccount(serviceAccountFolder) }

// FromServiceAccount returns a Config as InCluster does, but reads the files
// token, ca.crt and namespace from the given folder.
func FromServiceAccount(folder string) (Config, error) {
	namespace, err := os.ReadFile(filepath.Join(folder, "namespace")) //nolint:gosec // the folder is the caller's to choose
	if err != nil {
		return Config{}, fmt.Errorf("not in a pod with a service account: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt")) //nolint:gosec // as above
	if err != nil {
		return Config{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return Config{}, errors.New("the file ca.crt of the service account has no certificate")
	}
	token := func(context.Context) (sailpoint.Secret, error) {
		content, err := os.ReadFile(filepath.Join(folder, "token")) //nolint:gosec // as above
		return sailpoint.NewSecret(string(bytes.TrimSpace(content))), err
	}
	if _, err := token(context.Background()); err != nil {
		return Config{}, err
	}
	return Config{
		Address: inClusterAddress, Namespace: string(bytes.TrimSpace(namespace)), Token: token,
		HTTPClient: &http.Client{
			Timeout: storehttp.DefaultTimeout,
			Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2: true,
			},
		},
	}, nil
}
