package stores_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/kubestore"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
)

const (
	roles      = "/apis/rbac.authorization.k8s.io/v1/namespaces/ci/roles"
	bindings   = "/apis/rbac.authorization.k8s.io/v1/namespaces/ci/rolebindings"
	accounts   = "/api/v1/namespaces/ci/serviceaccounts"
	secrets    = "/api/v1/namespaces/ci/secrets"
	deployment = "/apis/apps/v1/namespaces/ci/deployments"
	cronJobs   = "/apis/batch/v1/namespaces/ci/cronjobs"
)

// allBindings are those of docs/kubernetes.md. The last one is optional.
var allBindings = []string{"sailpoint-rotate", "sailpoint-reader", "sailpoint-create"}

// kube is an API server of Kubernetes with etcd, the namespace ci, and what
// docs/kubernetes.md says about rights.
type kube struct {
	program, folder, address, etcdClient, etcdPeer string
	etcd, server                                   *process
	adminToken                                     string
	client                                         *http.Client // that trusts the cluster and sends no token
	manifests                                      map[string][]string
}

func newKube(t *testing.T) *kube {
	t.Helper()
	k := &kube{
		program: fromEnvironment(t, "SAILPOINT_TEST_KUBE_APISERVER", "a kube-apiserver built from tools/kubeserver"),
		folder:  t.TempDir(), address: freeAddress(t), etcdClient: freeAddress(t), etcdPeer: freeAddress(t),
		manifests: manifestsOf(t, "../../docs/kubernetes.md", "../../docs/sailpat.md"),
	}
	k.adminToken = "admin-" + rand.Text()
	require.NoError(t, os.WriteFile(k.path("tokens.csv"), []byte(k.adminToken+`,admin,1,"system:masters"`+"\n"), 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(k.path("sa.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
	t.Cleanup(func() {
		k.server.kill()
		k.etcd.kill()
	})
	k.start(t)
	k.must(t, "POST", "/api/v1/namespaces", map[string]any{"metadata": map[string]string{"name": "ci"}})
	for _, manifest := range k.manifests["ServiceAccount"] {
		k.must(t, "POST", accounts, manifest)
	}
	for _, manifest := range k.manifests["Role"] {
		k.must(t, "POST", roles, manifest)
	}
	k.writeServiceAccount(t)
	k.bind(t, "sailpoint-rotate", "sailpoint-reader")
	return k
}

func (k *kube) path(name string) string { return filepath.Join(k.folder, name) }

// manifestsOf returns the YAML documents of pages by their kind.
func manifestsOf(t *testing.T, pages ...string) map[string][]string {
	t.Helper()
	var content []byte
	for _, page := range pages {
		more, err := os.ReadFile(page)
		require.NoError(t, err)
		content = append(content, more...)
	}
	found := map[string][]string{}
	kind := regexp.MustCompile(`(?m)^kind: (\w+)$`)
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(content), -1) {
		if strings.HasPrefix(block[1], "groups:") {
			continue // rules for Prometheus
		}
		for document := range strings.SplitSeq(block[1], "---\n") {
			name := kind.FindStringSubmatch(document)
			require.NotNil(t, name, document)
			found[name[1]] = append(found[name[1]], document)
		}
	}
	return found
}

func (k *kube) start(t *testing.T) {
	t.Helper()
	etcd, err := exec.LookPath("etcd")
	require.NoError(t, err, "install etcd (Debian: etcd-server)")
	client, peer := "http://"+k.etcdClient, "http://"+k.etcdPeer
	k.etcd = start(t, nil, k.path("etcd.log"), etcd, "--data-dir="+k.path("etcd"), "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer)
	_, port, err := net.SplitHostPort(k.address)
	require.NoError(t, err)
	k.server = start(t, nil, k.path("log"), k.program, "--etcd-servers="+client, "--cert-dir="+k.path("certs"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+k.path("sa.key"),
		"--service-account-signing-key-file="+k.path("sa.key"), "--authorization-mode=RBAC", "--token-auth-file="+k.path("tokens.csv"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+port,
		"--service-cluster-ip-range=10.0.0.0/24", "--endpoint-reconciler-type=none")
	waitFor(t, "the server writes its certificate: "+logged(k.folder), func() bool {
		ca, err := os.ReadFile(k.path("certs/apiserver.crt"))
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(ca) {
			return false
		}
		k.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
		return true
	})
	waitFor(t, "the server is ready", func() bool {
		status, _, err := k.send(k.adminToken, "GET", "/readyz", nil)
		return err == nil && status == 200
	})
}

func (k *kube) restart(t *testing.T) {
	t.Helper()
	k.server.kill()
	k.etcd.kill()
	k.start(t)
	for _, binding := range allBindings {
		k.waitForRight(t, binding, true)
	}
}

// send sends YAML if in is a string, and JSON otherwise.
func (k *kube) send(token, method, path string, in any) (status int, text string, err error) {
	contentType := "application/json"
	var body []byte
	if manifest, ok := in.(string); ok {
		contentType, body = "application/yaml", []byte(manifest)
	} else {
		if body, err = json.Marshal(in); err != nil {
			return 0, "", err
		}
	}
	if method == "PATCH" {
		contentType = "application/merge-patch+json"
	}
	request, err := http.NewRequestWithContext(context.Background(), method, "https://"+k.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", contentType)
	response, err := k.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

// must sends a request of the administrator.
func (k *kube) must(t *testing.T, method, path string, in any) (text string) {
	t.Helper()
	status, text, err := k.send(k.adminToken, method, path, in)
	require.NoError(t, err)
	require.Equal(t, 2, status/100, text)
	return text
}

// token returns a token of a service account, as pods get it.
func (k *kube) token(t *testing.T, account string) string {
	t.Helper()
	var created struct{ Status struct{ Token string } }
	text := k.must(t, "POST", accounts+"/"+account+"/token", map[string]any{"spec": map[string]any{"expirationSeconds": 3600}})
	require.NoError(t, json.Unmarshal([]byte(text), &created))
	require.NotEmpty(t, created.Status.Token)
	return created.Status.Token
}

// writeServiceAccount writes the folder that a pod of the job would have.
func (k *kube) writeServiceAccount(t *testing.T) {
	t.Helper()
	ca, err := os.ReadFile(k.path("certs/apiserver.crt"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(k.path("pod"), 0o700))
	for name, content := range map[string]string{"ca.crt": string(ca), "namespace": "ci", "token": k.token(t, "sailpoint-rotate")} {
		require.NoError(t, os.WriteFile(k.path("pod/"+name), []byte(content), 0o600))
	}
}

// bind gives the service accounts roles, by the names of the bindings.
func (k *kube) bind(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		i := slices.IndexFunc(k.manifests["RoleBinding"], func(manifest string) bool { return strings.Contains(manifest, "\n  name: "+name+"\n") })
		require.GreaterOrEqual(t, i, 0, name)
		k.must(t, "POST", bindings, k.manifests["RoleBinding"][i])
		k.waitForRight(t, name, true)
	}
}

func (k *kube) revoke(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		k.must(t, "DELETE", bindings+"/"+name, nil)
		k.waitForRight(t, name, false)
	}
}

// waitForRight waits until the API server knows of a binding.
func (k *kube) waitForRight(t *testing.T, binding string, want bool) {
	t.Helper()
	account, method, path := binding, "GET", secrets+"/sailpoint-deploy"
	if binding == "sailpoint-create" {
		account, method, path = "sailpoint-rotate", "POST", secrets+"?dryRun=All"
	}
	token := k.token(t, account)
	waitFor(t, "the rights change", func() bool {
		status, _, err := k.send(token, method, path, map[string]any{})
		return err == nil && (status != http.StatusForbidden) == want
	})
}

// open opens a store as a pod of the job would. Only the address differs,
// because no name of the cluster resolves here.
func (k *kube) open(t *testing.T, address string) *kubestore.Store {
	t.Helper()
	config, err := kubestore.FromServiceAccount(k.path("pod"))
	require.NoError(t, err)
	t.Cleanup(config.HTTPClient.CloseIdleConnections)
	config.Address, config.Name = "https://"+address, "sailpoint-deploy"
	s, err := kubestore.New(config)
	require.NoError(t, err)
	return s
}

// place is the Secret that the role is for.
func (k *kube) place(t *testing.T) storetest.Place {
	t.Helper()
	_, _, err := k.send(k.adminToken, "DELETE", secrets+"/sailpoint-deploy", nil)
	require.NoError(t, err)
	return storetest.Place{
		Address: k.address,
		Open:    func() lifecycle.Store { return k.open(t, k.address) },
		OpenAt:  func(address string) lifecycle.Store { return k.open(t, address) },
		Restart: func() { k.restart(t) },
		Clear:   func() { k.must(t, "DELETE", secrets+"/sailpoint-deploy", nil) },
		Deny: func() func() {
			k.revoke(t, allBindings...)
			return func() { k.bind(t, allBindings...) }
		},
	}
}

// TestKubernetes runs storetest, and Issue and Rotate with faults, against a
// real API server. The API server keeps only base64 in a Secret, so that the
// check Spoiled has nothing to write.
func TestKubernetes(t *testing.T) {
	k := newKube(t)
	t.Run("Manifests", func(t *testing.T) {
		count := 0
		for kind, path := range map[string]string{"ServiceAccount": accounts, "Role": roles, "RoleBinding": bindings, "Deployment": deployment, "CronJob": cronJobs} {
			for _, manifest := range k.manifests[kind] {
				manifest = regexp.MustCompile(`(?m)^  name: sailpoint`).ReplaceAllString(manifest, "  name: dry-run-sailpoint")
				k.must(t, "POST", path+"?dryRun=All&fieldValidation=Strict", manifest)
				count++
			}
		}
		assert.Equal(t, 10, count, "what docs/kubernetes.md and docs/sailpat.md have")
	})
	t.Run("LeastRights", func(t *testing.T) {
		k.place(t)
		reader, job := k.token(t, "sailpoint-reader"), k.token(t, "sailpoint-rotate")
		s := k.open(t, k.address)
		for _, err := range []error{checkSave(t, s), save(t, s, "id-1")} {
			assert.ErrorIs(t, err, lifecycle.ErrNotStored)
			assert.ErrorContains(t, err, "the Secret ci/sailpoint-deploy: status 403 Forbidden: the Secret is missing: create it, or grant create")
		}
		first := map[string]any{ // as docs/sailpat.md creates it
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"namespace": "ci", "name": "sailpoint-deploy"},
			"stringData": map[string]string{"id": "id-0", "secret": "secret-0"},
		}
		k.must(t, "POST", secrets, first)
		c, err := s.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"id-0", "secret-0", ""}, []string{c.ID, c.Secret.Reveal(), c.Note})
		require.NoError(t, save(t, s, "id-1"), "without the right to create")
		for request, want := range map[[3]string]int{
			{reader, "GET", "/sailpoint-deploy"}: 200, {reader, "PATCH", "/sailpoint-deploy"}: 403, {reader, "GET", ""}: 403, {reader, "POST", ""}: 403,
			{job, "GET", "/sailpoint-deploy"}: 200, {job, "GET", "/other"}: 403, {job, "PATCH", "/other"}: 403, {job, "GET", ""}: 403,
			{job, "DELETE", "/sailpoint-deploy"}: 403, {job, "POST", ""}: 403,
		} {
			status, _, err := k.send(request[0], request[1], secrets+request[2], map[string]any{})
			require.NoError(t, err)
			assert.Equal(t, want, status, request[1:])
		}
		k.must(t, "PUT", secrets+"/sailpoint-deploy", first) // as kubectl replace
		c, err = s.Load(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "id-0", c.ID)
		require.NoError(t, save(t, s, "id-2"))
	})
	k.bind(t, "sailpoint-create")
	t.Run("Store", func(t *testing.T) { storetest.Run(t, k.place) })
	t.Run("OthersStay", func(t *testing.T) {
		k.place(t)
		k.must(t, "POST", secrets, map[string]any{
			"metadata": map[string]any{"name": "sailpoint-deploy", "labels": map[string]string{"a": "b"}, "annotations": map[string]string{"c": "d"}},
			"data":     map[string]string{"other": "eA=="},
		})
		s := k.open(t, k.address)
		require.NoError(t, save(t, s, "id-1"))
		before, err := s.Load(t.Context())
		require.NoError(t, err)
		k.must(t, "PATCH", secrets+"/sailpoint-deploy", map[string]any{"metadata": map[string]any{"labels": map[string]string{"a": "changed"}}})
		before.ID = "id-2"
		require.NoError(t, s.Save(t.Context(), before), "a label is no other run")
		var got struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Data     map[string][]byte
		}
		require.NoError(t, json.Unmarshal([]byte(k.must(t, "GET", secrets+"/sailpoint-deploy", nil)), &got))
		assert.Equal(t, map[string]string{"a": "changed"}, got.Metadata.Labels)
		assert.Equal(t, map[string]string{"c": "d"}, got.Metadata.Annotations)
		assert.Equal(t, "x", string(got.Data["other"]))
		assert.Equal(t, "id-2", string(got.Data["id"]))

		k.must(t, "PATCH", secrets+"/sailpoint-deploy", map[string]any{"immutable": true})
		for _, err := range []error{save(t, s, "id-3"), checkSave(t, s)} {
			assert.ErrorIs(t, err, lifecycle.ErrNotStored)
			assert.ErrorContains(t, err, "is immutable")
		}
	})
	t.Run("MissingNamespace", func(t *testing.T) {
		require.NoError(t, os.WriteFile(k.path("pod/namespace"), []byte("none"), 0o600))
		defer func() { require.NoError(t, os.WriteFile(k.path("pod/namespace"), []byte("ci"), 0o600)) }()
		token, err := os.ReadFile(k.path("pod/token"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(k.path("pod/token"), []byte(k.adminToken), 0o600))
		defer func() { require.NoError(t, os.WriteFile(k.path("pod/token"), token, 0o600)) }()
		s := k.open(t, k.address)
		for _, err := range []error{save(t, s, "id-1"), checkSave(t, s)} {
			assert.ErrorIs(t, err, lifecycle.ErrNotStored)
			assert.ErrorContains(t, err, "the namespace does not exist")
		}
	})
	t.Run("Faults", func(t *testing.T) { testFaults(t, k.place) })
}
