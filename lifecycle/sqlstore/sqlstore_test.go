package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/sqlstore"
	"github.com/sailpoint-go/sailpoint/lifecycle/storetest"
)

const storedSecret = "5ecf00d15ecf00d15ecf00d1"

const (
	selectRow = "SELECT id, secret, note, version FROM credential WHERE name = $1"
	insertRow = "INSERT INTO credential (id, secret, note, version, name) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
	updateRow = "UPDATE credential SET id = $1, secret = $2, note = $3, version = $4 WHERE name = $5 AND version = $6"
)

// row is id, secret, note and version.
type row [4]string

// database is a driver of a database that knows the three statements above,
// whatever the table and columns are called.
type database struct {
	mu         sync.Mutex
	rows       map[string]row
	statements []string
	fail       error
}

func (d *database) Connect(context.Context) (driver.Conn, error) { return &conn{db: d}, nil }
func (d *database) Driver() driver.Driver                        { return nil }

// conn is a connection. A transaction of it is rolled back to rows.
type conn struct {
	db   *database
	rows map[string]row
}

var errUnused = errors.New("the store does not use this")

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errUnused }
func (c *conn) Close() error                        { return nil }

func (c *conn) Begin() (driver.Tx, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.rows = map[string]row{}
	for name, r := range c.db.rows {
		c.rows[name] = r
	}
	c.db.statements = append(c.db.statements, "BEGIN")
	return c, nil
}

func (c *conn) Commit() error { return errUnused }

func (c *conn) Rollback() error {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.rows = c.rows
	c.db.statements = append(c.db.statements, "ROLLBACK")
	return nil
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.statements = append(c.db.statements, query)
	if c.db.fail != nil || ctx.Err() != nil {
		return nil, errors.Join(c.db.fail, ctx.Err())
	}
	found := &rows{}
	if r, ok := c.db.rows[fmt.Sprint(args[0].Value)]; ok {
		found.left = []row{r}
	}
	return found, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	c.db.statements = append(c.db.statements, query)
	if c.db.fail != nil || ctx.Err() != nil {
		return nil, errors.Join(c.db.fail, ctx.Err())
	}
	var values []string
	for _, arg := range args {
		values = append(values, fmt.Sprint(arg.Value))
	}
	name := values[4]
	before, ok := c.db.rows[name]
	if len(values) == 6 && (!ok || before[3] != values[5]) || len(values) == 5 && ok {
		return driver.RowsAffected(0), nil
	}
	c.db.rows[name] = row(values[:4])
	return driver.RowsAffected(1), nil
}

// rows is the result of a query.
type rows struct{ left []row }

func (r *rows) Columns() []string { return []string{"id", "secret", "note", "version"} }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(to []driver.Value) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	for i, value := range r.left[0] {
		to[i] = value
	}
	r.left = r.left[1:]
	return nil
}

func (d *database) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *database) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.statements
	d.statements = nil
	return taken
}

func newDatabase(t *testing.T) (d *database, open func(config sqlstore.Config) *sqlstore.Store) {
	t.Helper()
	d = &database{rows: map[string]row{}}
	return d, func(config sqlstore.Config) *sqlstore.Store {
		config.DB, config.Name = sql.OpenDB(d), "deploy"
		t.Cleanup(func() { _ = config.DB.Close() })
		s, err := sqlstore.New(config)
		require.NoError(t, err)
		return s
	}
}

func credential(version string) lifecycle.Credential {
	return lifecycle.Credential{ID: "id-1", Secret: sailpoint.NewSecret(storedSecret), Note: "note-1", Version: version}
}

// TestStorePassesStoretest uses a database in memory.
func TestStorePassesStoretest(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		d, open := newDatabase(t)
		return storetest.Place{
			Open:  func() lifecycle.Store { return open(sqlstore.Config{}) },
			Clear: func() { d.set(func() { delete(d.rows, "deploy") }) },
			Spoil: func() { d.set(func() { d.rows["deploy"] = row{"1", "5ecf00d1", "", ""} }) },
			Deny: func() func() {
				d.set(func() { d.fail = errors.New("permission denied") })
				return func() { d.set(func() { d.fail = nil }) }
			},
		}
	})
}

// TestStatements compares each statement with its exact text.
func TestStatements(t *testing.T) {
	d, open := newDatabase(t)
	s := open(sqlstore.Config{})
	empty, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, lifecycle.Credential{Version: "absent"}, empty)
	require.NoError(t, s.CheckSave(t.Context()))
	assert.Empty(t, d.rows)
	require.NoError(t, s.Save(t.Context(), credential(empty.Version)))
	assert.Equal(t, []string{selectRow, selectRow, "BEGIN", insertRow, "ROLLBACK", insertRow}, d.take())
	stored, err := s.Load(t.Context())
	require.NoError(t, err)
	assert.Len(t, stored.Version, 32)
	assert.Equal(t, row{"id-1", storedSecret, "note-1", stored.Version}, d.rows["deploy"])
	require.NoError(t, s.CheckSave(t.Context()))
	assert.Equal(t, stored.Version, d.rows["deploy"][3])
	require.NoError(t, s.Save(t.Context(), credential(stored.Version)))
	assert.NotEqual(t, stored.Version, d.rows["deploy"][3])
	assert.Equal(t, []string{selectRow, selectRow, "BEGIN", updateRow, "ROLLBACK", updateRow}, d.take())

	renamed := open(sqlstore.Config{
		Table: "app.tokens", NameColumn: "n", IDColumn: "SAIL_CLIENT_ID", SecretColumn: "SAIL_CLIENT_SECRET", NoteColumn: "memo", VersionColumn: "v",
	})
	now, err := renamed.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, renamed.Save(t.Context(), credential(now.Version)))
	assert.ErrorIs(t, renamed.Save(t.Context(), credential("absent")), lifecycle.ErrStoreConflict)
	assert.Equal(t, []string{
		"SELECT SAIL_CLIENT_ID, SAIL_CLIENT_SECRET, memo, v FROM app.tokens WHERE n = $1",
		"UPDATE app.tokens SET SAIL_CLIENT_ID = $1, SAIL_CLIENT_SECRET = $2, memo = $3, v = $4 WHERE n = $5 AND v = $6",
		"INSERT INTO app.tokens (SAIL_CLIENT_ID, SAIL_CLIENT_SECRET, memo, v, n) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
	}, d.take())
}

// stateError is an error as drivers of PostgreSQL return it. Its detail quotes
// the row.
type stateError struct{ state, text, Detail string }

func (e stateError) Error() string    { return e.text }
func (e stateError) SQLState() string { return e.state }

// TestFailures checks that an error says that nothing is stored only if the
// database says so.
func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		err       error
		notStored bool
	}{
		"a lost connection":       {io.ErrUnexpectedEOF, false},
		"no right":                {stateError{"42501", "permission denied", ""}, true},
		"read only":               {stateError{"25006", "cannot execute UPDATE in a read-only transaction", ""}, true},
		"too long":                {stateError{"22001", "value too long " + storedSecret, storedSecret}, true},
		"a check of the table":    {stateError{"23514", "new row violates check constraint", "Failing row contains (" + storedSecret + ")"}, true},
		"a serialization failure": {stateError{"40001", "could not serialize access", ""}, false},
		"an odd state":            {stateError{"4", "?", ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, open := newDatabase(t)
			s := open(sqlstore.Config{})
			d.fail = tt.err
			err := s.Save(t.Context(), credential("absent"))
			require.ErrorContains(t, err, `the row "deploy": `)
			assert.Equal(t, tt.notStored, errors.Is(err, lifecycle.ErrNotStored))
			assert.Equal(t, []string{insertRow}, d.take(), "a write is sent once")
			for ; err != nil; err = errors.Unwrap(err) {
				assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), storedSecret)
			}
		})
	}
}

// TestMissingRightsAndTablesSayWhatToDo checks the error of each statement.
func TestMissingRightsAndTablesSayWhatToDo(t *testing.T) {
	for state, want := range map[string]string{
		"42501": `the row "deploy": refused: grant SELECT, INSERT and UPDATE`, "42P01": `the row "deploy": refused: create the table`,
	} {
		d, open := newDatabase(t)
		s := open(sqlstore.Config{})
		d.fail = stateError{state, "refused", ""}
		_, err := s.Load(t.Context())
		assert.EqualError(t, err, want)
		assert.EqualError(t, s.CheckSave(t.Context()), want)
		assert.EqualError(t, s.Save(t.Context(), credential("absent")), "lifecycle: not stored: "+want)
	}
}

// TestNewRefuses checks that an invalid Config is an error before anything is
// sent.
func TestNewRefuses(t *testing.T) {
	d, _ := newDatabase(t)
	db := sql.OpenDB(d)
	defer db.Close()
	for says, config := range map[string]sqlstore.Config{
		"DB is not set":                      {Name: "deploy"},
		"Name is not set":                    {DB: db},
		`"x; DROP" is not the name`:          {DB: db, Name: "deploy", Table: "x; DROP"},
		`"a\"b" is not the name of a table`:  {DB: db, Name: "deploy", IDColumn: `a"b`},
		`"" is not the name of a table or c`: {DB: db, Name: "deploy", Table: "app."},
	} {
		_, err := sqlstore.New(config)
		assert.ErrorContains(t, err, says)
		assert.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	}
	assert.Empty(t, d.statements)
}
