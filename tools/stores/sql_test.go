package stores_test

import (
	"database/sql"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/sqlstore"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
)

// createTable is the statement of the package's documentation.
const createTable = `CREATE TABLE credential (
	name    TEXT PRIMARY KEY,
	id      TEXT NOT NULL,
	secret  TEXT NOT NULL,
	note    TEXT NOT NULL,
	version TEXT NOT NULL
)`

// postgres is a server of PostgreSQL with the user deploy.
type postgres struct {
	programs, folder, address string
	account                   *account
	process                   *process
	admin                     *sql.DB
	rows                      int
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{
		programs: fromEnvironment(t, "SAILPOINT_TEST_POSTGRES", "the folder of PostgreSQL's programs, such as /usr/lib/postgresql/15/bin"),
		account:  unprivileged(t), address: freeAddress(t),
	}
	p.folder = p.account.folder(t)
	initialize := exec.CommandContext(t.Context(), filepath.Join(p.programs, "initdb"), "--auth=trust", "--username=admin", "--pgdata="+p.folder+"/data")
	initialize.Dir = p.folder
	if p.account != nil {
		initialize.SysProcAttr = &syscall.SysProcAttr{Credential: p.account.credential}
	}
	output, err := initialize.CombinedOutput()
	require.NoError(t, err, string(output))
	p.admin = p.database(t, "admin", p.address)
	p.admin.SetMaxIdleConns(0) // a connection that is open outlives the server's first process for a moment
	t.Cleanup(func() { p.process.kill() })
	p.start(t)
	p.must(t, createTable)
	p.must(t, "CREATE ROLE deploy LOGIN")
	p.must(t, "GRANT SELECT, INSERT, UPDATE ON credential TO deploy")
	return p
}

func (p *postgres) database(t *testing.T, user, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", "postgres://"+user+"@"+address+"/postgres?sslmode=disable&connect_timeout=5")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// start starts the server. A new server ends at once as long as processes of a
// killed one use its memory.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(p.address)
	require.NoError(t, err)
	run := func() *process {
		return start(t, p.account, filepath.Join(p.folder, "log"), filepath.Join(p.programs, "postgres"),
			"-D", p.folder+"/data", "-h", "127.0.0.1", "-p", port, "-k", p.folder)
	}
	p.process = run()
	waitFor(t, "the server starts", func() bool {
		select {
		case <-p.process.ended:
			p.process = run()
		default:
		}
		return p.admin.Ping() == nil
	})
}

func (p *postgres) restart(t *testing.T) {
	t.Helper()
	p.process.kill()
	p.start(t)
}

func (p *postgres) must(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := p.admin.Exec(statement, args...)
	require.NoError(t, err, statement)
}

func (p *postgres) open(t *testing.T, address, name string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.New(sqlstore.Config{DB: p.database(t, "deploy", address), Name: name})
	require.NoError(t, err)
	return s
}

func (p *postgres) place(t *testing.T) storetest.Place {
	t.Helper()
	p.rows++
	name := fmt.Sprint("row ", p.rows)
	return storetest.Place{
		Address: p.address,
		Open:    func() lifecycle.Store { return p.open(t, p.address, name) },
		OpenAt:  func(address string) lifecycle.Store { return p.open(t, address, name) },
		Restart: func() { p.restart(t) },
		Clear:   func() { p.must(t, "DELETE FROM credential WHERE name = $1", name) },
		Spoil:   func() { p.must(t, "UPDATE credential SET secret = '5ecf00d1', version = '' WHERE name = $1", name) },
		Deny: func() func() {
			p.must(t, "REVOKE SELECT, INSERT, UPDATE ON credential FROM deploy")
			return func() { p.must(t, "GRANT SELECT, INSERT, UPDATE ON credential TO deploy") }
		},
	}
}

// TestPostgreSQL runs storetest, and Issue and Rotate with faults, against a
// real server.
func TestPostgreSQL(t *testing.T) {
	p := newPostgres(t)
	t.Run("Store", func(t *testing.T) { storetest.Run(t, p.place) })
	t.Run("Refusals", func(t *testing.T) {
		s := p.place(t).Open()
		p.must(t, "REVOKE UPDATE, INSERT ON credential FROM deploy")
		assert.ErrorIs(t, checkSave(t, s), lifecycle.ErrNotStored)
		assert.ErrorIs(t, save(t, s, "id-1"), lifecycle.ErrNotStored)
		p.must(t, "GRANT UPDATE, INSERT ON credential TO deploy")
		p.must(t, "ALTER ROLE deploy SET default_transaction_read_only = on")
		s = p.place(t).Open()
		assert.ErrorIs(t, checkSave(t, s), lifecycle.ErrNotStored)
		assert.ErrorIs(t, save(t, s, "id-1"), lifecycle.ErrNotStored)
		p.must(t, "ALTER ROLE deploy RESET default_transaction_read_only")
		p.must(t, "ALTER TABLE credential ADD CONSTRAINT short CHECK (length(secret) < 10) NOT VALID")
		s = p.place(t).Open()
		err := save(t, s, "id-1")
		assert.ErrorIs(t, err, lifecycle.ErrNotStored)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "5ecf00d1")
		p.must(t, "ALTER TABLE credential DROP CONSTRAINT short")
		require.NoError(t, save(t, s, "id-1"))
	})
	t.Run("Faults", func(t *testing.T) { testFaults(t, p.place) })
}

// TestSQLite runs storetest against files.
func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		file := filepath.Join(t.TempDir(), "credentials.db")
		database := func() *sql.DB {
			db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_txlock=immediate")
			require.NoError(t, err)
			t.Cleanup(func() { _ = db.Close() })
			return db
		}
		admin := database()
		must := func(statement string) {
			_, err := admin.Exec(statement)
			require.NoError(t, err)
		}
		must(createTable)
		return storetest.Place{
			Open: func() lifecycle.Store {
				s, err := sqlstore.New(sqlstore.Config{DB: database(), Name: "deploy"})
				require.NoError(t, err)
				return s
			},
			Clear: func() { must("DELETE FROM credential") },
			Spoil: func() { must("UPDATE credential SET secret = '5ecf00d1', version = ''") },
		}
	})
}
