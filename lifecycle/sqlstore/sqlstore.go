// Package sqlstore keeps the secrets of personal access tokens in a table of a
// PostgreSQL or SQLite database. Each token has a row of its own.
//
// Create the table beforehand:
//
//	CREATE TABLE credential (
//		name    TEXT PRIMARY KEY,
//		id      TEXT NOT NULL,
//		secret  TEXT NOT NULL,
//		note    TEXT NOT NULL,
//		version TEXT NOT NULL
//	)
//
// The database user needs the rights SELECT, INSERT and UPDATE. The database
// must write each commit to stable storage before it confirms the commit. In
// PostgreSQL, synchronous_commit must be on. If you change a row by hand, also
// set its version to a new text, such as a random one.
package sqlstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/redact"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Config says where the secret is kept. DB and Name must be set.
type Config struct {
	// DB is the database. Its driver must accept parameters that are written as
	// $1. The drivers of PostgreSQL and modernc.org/sqlite do.
	DB *sql.DB
	// Name is the name of the row. Use another name for each token.
	Name string
	// Table is the name of the table, such as credential or
	// myschema.credential. The default is "credential".
	Table string
	// NameColumn, IDColumn, SecretColumn, NoteColumn and VersionColumn are the
	// names of the columns. The defaults are "name", "id", "secret", "note" and
	// "version".
	NameColumn, IDColumn, SecretColumn, NoteColumn, VersionColumn string
}

// Store is a [lifecycle.Store] with versions. Its Version is a random text in
// the row. Each Save writes a new one. Several goroutines may use it.
type Store struct {
	db                              *sql.DB
	name                            string
	selectRow, insertRow, updateRow string
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// New returns a Store. It sends nothing to the database.
func New(config Config) (*Store, error) {
	switch {
	case config.DB == nil:
		return nil, fmt.Errorf("%w: DB is not set: open one with sql.Open", sailpoint.ErrInvalidArgument)
	case config.Name == "":
		return nil, fmt.Errorf("%w: Name is not set: give the row of this token a name", sailpoint.ErrInvalidArgument)
	}
	table := cmp.Or(config.Table, "credential")
	columns := []string{
		cmp.Or(config.NameColumn, "name"), cmp.Or(config.IDColumn, "id"), cmp.Or(config.SecretColumn, "secret"),
		cmp.Or(config.NoteColumn, "note"), cmp.Or(config.VersionColumn, "version"),
	}
	for _, name := range append(strings.Split(table, "."), columns...) {
		if !identifier.MatchString(name) {
			return nil, fmt.Errorf("%w: %.80q is not the name of a table or column: use letters, digits and _", sailpoint.ErrInvalidArgument, name)
		}
	}
	name, id, secret, note, version := columns[0], columns[1], columns[2], columns[3], columns[4]
	return &Store{
		db: config.DB, name: config.Name,
		selectRow: fmt.Sprintf("SELECT %s, %s, %s, %s FROM %s WHERE %s = $1", id, secret, note, version, table, name),
		insertRow: fmt.Sprintf("INSERT INTO %s (%s, %s, %s, %s, %s) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
			table, id, secret, note, version, name),
		updateRow: fmt.Sprintf("UPDATE %s SET %s = $1, %s = $2, %s = $3, %s = $4 WHERE %s = $5 AND %s = $6",
			table, id, secret, note, version, name, version),
	}, nil
}

// absent is the Version where there is no row.
const absent = "absent"

// Load reads the row. If the row doesn't exist, it returns a Credential without
// ID.
func (s *Store) Load(ctx context.Context) (lifecycle.Credential, error) {
	var c lifecycle.Credential
	var secret string
	err := s.db.QueryRowContext(ctx, s.selectRow, s.name).Scan(&c.ID, &secret, &c.Note, &c.Version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return lifecycle.Credential{Version: absent}, nil
	case err != nil:
		return lifecycle.Credential{}, s.rowError(err)
	case c.Version == "" || c.Version == absent:
		return lifecycle.Credential{}, fmt.Errorf("the row %q has the version %q: set it to any other text", s.name, c.Version)
	}
	c.Secret = sailpoint.NewSecret(secret)
	return c, nil
}

// execer is a *sql.DB or *sql.Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Save inserts the row, or updates it if it still has c's Version. For a
// Credential without Version it returns [lifecycle.ErrNotStored].
func (s *Store) Save(ctx context.Context, c lifecycle.Credential) error {
	if c.Version == "" {
		return fmt.Errorf("%w: the credential has no version: use what Load returned", lifecycle.ErrNotStored)
	}
	return s.write(ctx, s.db, c)
}

// CheckSave returns an error if the database would reject a Save. It writes the
// row in a transaction and rolls it back. It makes Store a
// [lifecycle.SaveChecker].
func (s *Store) CheckSave(ctx context.Context) error {
	c, err := s.Load(ctx)
	if err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.rowError(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was to be kept anyway
	if err := s.write(ctx, tx, c); err != nil && !errors.Is(err, lifecycle.ErrStoreConflict) {
		return err
	}
	return nil
}

func (s *Store) write(ctx context.Context, db execer, c lifecycle.Credential) error {
	args := []any{c.ID, c.Secret.Reveal(), c.Note, newVersion(), s.name}
	statement := s.insertRow
	if c.Version != absent {
		statement, args = s.updateRow, append(args, c.Version)
	}
	result, err := db.ExecContext(ctx, statement, args...)
	if err == nil {
		var rows int64
		if rows, err = result.RowsAffected(); err == nil && rows == 0 {
			return lifecycle.ErrStoreConflict
		}
	}
	if err == nil {
		return nil
	}
	return s.failure(c, err)
}

// failure returns the error of a write. SQLSTATEs of these classes say that the
// statement was not carried out, because its data, the row, the user's rights
// or the database's mode are wrong.
func (s *Store) failure(c lifecycle.Credential, err error) error {
	state := stateOf(err)
	err = redact.New(c.Secret.Reveal()).Error(s.rowError(err))
	switch state[:min(2, len(state))] {
	case "22", "23": // their details quote the row, so only the text stays
		return fmt.Errorf("%w: %s", lifecycle.ErrNotStored, err.Error())
	case "25", "42":
		return fmt.Errorf("%w: %w", lifecycle.ErrNotStored, err)
	}
	return err // it may be stored
}

// hints say what to do about an SQLSTATE.
var hints = map[string]string{"42501": ": grant SELECT, INSERT and UPDATE", "42P01": ": create the table"}

// rowError returns an error that names the row and says what to do.
func (s *Store) rowError(err error) error {
	return fmt.Errorf("the row %q: %w%s", s.name, err, hints[stateOf(err)])
}

// stateOf returns the SQLSTATE of an error, or "" if it has none.
func stateOf(err error) string {
	var state interface{ SQLState() string } // as drivers of PostgreSQL have it
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}

func newVersion() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
