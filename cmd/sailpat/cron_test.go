package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// network is a transport that can be down.
type network struct {
	http.RoundTripper
	down bool
}

func (n *network) RoundTrip(request *http.Request) (*http.Response, error) {
	if n.down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}
	}
	return n.RoundTripper.RoundTrip(request)
}

// cronLine is a line of a crontab that runs sailpat.
type cronLine struct{ weekday, command string }

// cronLines returns those of docs/sailpat.md, with paths in a folder.
func cronLines(t *testing.T, folder string) (lines []cronLine) {
	t.Helper()
	page, err := os.ReadFile("../../docs/sailpat.md")
	require.NoError(t, err)
	for _, match := range regexp.MustCompile(`(?m)^    \d+ \d+ \* \* ([*\d])  sailpat (.+)$`).FindAllSubmatch(page, -1) {
		command := regexp.MustCompile(`/var/lib/\S+/`).ReplaceAllString(string(match[2]), folder+"/")
		lines = append(lines, cronLine{string(match[1]), command})
	}
	require.Len(t, lines, 3)
	return lines
}

// TestSixtyDaysOfCron runs the cron lines of docs/sailpat.md, which are a
// rotation and an export each day and an audit each Monday. The network is down
// on some days. There is output only while a person has something to do.
func TestSixtyDaysOfCron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		wire := &network{RoundTripper: tenant}
		path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{
			Name: "deploy", Created: *inDays(-25), ExpirationDate: inDays(155), Scope: []string{"sp:my-personal-access-tokens:manage"},
		})
		folder := filepath.Dir(path)
		require.NoError(t, os.Rename(path, filepath.Join(folder, "deploy.json")))
		laptop, _ := tenant.Add(sailpoint.PersonalAccessToken{Name: "laptop", ExpirationDate: inDays(45), LastUsed: inDays(-1), Scope: []string{"x"}})
		i := invocation{transport: wire, env: map[string]string{"SAIL_BASE_URL": "https://acme.example"}}
		downOn := []int{3, 5, 6, 20, 30, 37, 38, 58} // also when a rotation is due, on days 5 and 37
		said := map[string]string{}                  // by day and command
		codes := map[int]int{}
		for today := range 60 {
			wire.down = slices.Contains(downOn, today)
			for _, line := range cronLines(t, folder) {
				if line.weekday != "*" && line.weekday != strconv.Itoa(int(time.Now().Weekday())) {
					continue
				}
				code, stdout, stderr := i.run(t.Context(), line.command)
				codes[code]++
				assert.Equal(t, wire.down, code == 1, "day %d: %s", today, line.command)
				if stdout+stderr != "" {
					said[fmt.Sprintf("day %d: %.5s", today, line.command)] = stdout + stderr
				}
			}
			if today == 24 { // a person has read the mail
				code, _, stderr := on(tenant).run(t.Context(), "delete "+laptop)
				require.Equal(t, 0, code, stderr)
			}
			time.Sleep(day)
		}
		assert.Equal(t, map[int]int{0: 108, 1: 19, 3: 2}, codes)
		require.Len(t, said, 2)
		for _, on := range []string{"day 16: audit", "day 23: audit"} {
			assert.Regexp(t, `^https://acme.example  2000-01-\d\d 00:00:\d\d UTC\n\nKIND .*\nexpiring-soon  `+laptop+`  laptop .*\n\n3 tokens audited. Findings: 1 expiring-soon\n$`, said[on])
		}
		creates := map[string]bool{}
		for _, request := range tenant.Requests() {
			if request.Method == "POST" && strings.HasSuffix(request.Path, "/personal-access-tokens") {
				creates[request.At.Format("Jan 2")] = true
			}
		}
		assert.Equal(t, map[string]bool{"Jan 8": true, "Feb 9": true}, creates, "the first days after 30 days with a network")
		assert.Len(t, tenant.Tokens(), 2, "nothing is left of the rotations")
		metrics, err := os.ReadFile(filepath.Join(folder, "sailpoint.prom"))
		require.NoError(t, err)
		assert.Regexp(t, `sailpoint_pat_audit_timestamp_seconds\{tenant="https://acme.example"\} 9.5178\d*e\+08\n`, string(metrics), "day 59")
	})
}

// TestALastingFailureIsSaid shows that -q hides only what the next run may do
// better.
func TestALastingFailureIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := sailpointtest.NewTenant()
		i := on(tenant)
		path := pathOfToken(t, tenant, sailpoint.PersonalAccessToken{Name: "deploy", Created: *inDays(-40)})
		for range 4 { // retries
			tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 503})
		}
		code, stdout, stderr := i.run(t.Context(), "rotate -q --store file:"+path)
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout+stderr)

		for _, line := range []string{"rotate --store file:", "rotate -q --store file:"} {
			for range 4 {
				tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 503})
			}
			i.terminal = strings.Contains(line, "-q") // a person tries the line of cron
			code, stdout, stderr = i.run(t.Context(), line+path)
			assert.Equal(t, 1, code)
			assert.Empty(t, stdout)
			assert.Regexp(t, `^sailpat rotate: list: GET .*503.*run it again; nothing was changed\n$`, stderr)
		}
		i.terminal = false

		tenant.Inject(sailpointtest.Fault{Method: "GET", Status: 403})
		code, stdout, stderr = i.run(t.Context(), "rotate -q --store file:"+path)
		assert.Equal(t, 3, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "get sp:my-personal-access-tokens:manage granted")
		assert.Empty(t, tenant.Unused())
	})
}
