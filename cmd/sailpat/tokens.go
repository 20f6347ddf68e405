package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailpoint-go/sailpoint"
)

func (a *app) listCommand() *cobra.Command {
	var opts sailpoint.ListPersonalAccessTokensOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List tokens", Args: cobra.NoArgs,
		Example: `  sailpat list --owner-id me
  sailpat list --filters 'lastUsed isnull' -o csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			tokens, err := s.tokens().List(cmd.Context(), opts)
			if err != nil {
				return err
			}
			t := &table{columns: tokenColumns}
			var records [][]string
			for i := range tokens {
				t.rows = append(t.rows, tokenCells(&tokens[i]))
				records = append(records, tokenRecord(&tokens[i]))
			}
			return a.write(formats{
				"table": a.tableOf(s, t, fmt.Sprintf("%d tokens", len(tokens))),
				"json": func(w io.Writer) error {
					return writeJSON(w, struct {
						header
						Tokens []sailpoint.PersonalAccessToken `json:"tokens"`
					}{s.header, append([]sailpoint.PersonalAccessToken{}, tokens...)})
				},
				"csv": func(w io.Writer) error { return writeCSV(w, s.header, recordColumns, records) },
			})
		},
	}
	cmd.Flags().StringVar(&opts.OwnerID, "owner-id", "", "list only the tokens of the identity `ID`; me means your own")
	cmd.Flags().StringVar((*string)(&opts.Filter), "filters", "", "`FILTER` of the API, such as 'lastUsed isnull'")
	return a.withOutput(cmd, "csv")
}

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID|self", Short: "Show a token", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			var token *sailpoint.PersonalAccessToken
			if args[0] == self {
				token, err = s.tokens().Self(cmd.Context())
			} else {
				token, err = s.tokens().Get(cmd.Context(), args[0])
			}
			if err != nil {
				return err
			}
			return a.writeToken(s, token, sailpoint.Secret{})
		},
	}
	return a.withOutput(cmd)
}

// self is the argument that stands for the client's own token.
const self = "self"

// tokenFlags adds the flags that describe a new token. The function that it
// returns makes the request.
func tokenFlags(cmd *cobra.Command) func() sailpoint.CreatePersonalAccessTokenRequest {
	var req sailpoint.CreatePersonalAccessTokenRequest
	flags := cmd.Flags()
	flags.StringVar(&req.Name, "name", "", "`NAME` of the token, unique among the owner's")
	wordsFlag(flags, &req.Scope, "scope", "`SCOPES` of the token, separated by commas")
	flags.IntVar(&req.AccessTokenValiditySeconds, "access-token-validity-seconds", 0, "`SECONDS` that the token's bearers last (default 43200)")
	timeFlag(flags, &req.ExpirationDate, "expiration-date", "`DATE` on which the token expires (default in six months, up to v2024)")
	flags.BoolVar(&req.UserAwareTokenNeverExpires, "user-aware-token-never-expires", false, "confirm that the token may have no expiry, in v2025 and later")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("scope")
	return func() sailpoint.CreatePersonalAccessTokenRequest { return req }
}

func (a *app) createCommand() *cobra.Command {
	var show bool
	var request func() sailpoint.CreatePersonalAccessTokenRequest
	cmd := &cobra.Command{
		Use: "create", Short: "Create a token and show its secret once", Args: cobra.NoArgs,
		Long: `Create a token and show its secret once. To keep the secret in a store instead,
use "sailpat issue".`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !show {
				return usageError(`the secret would be lost: add --show-secret to see it once, or use "sailpat issue" to store it`)
			}
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			created, err := s.tokens().Create(cmd.Context(), request())
			if err != nil {
				return err
			}
			return a.writeToken(s, &sailpoint.PersonalAccessToken{
				ID: created.ID, Name: created.Name, Scope: created.Scope, Owner: created.Owner, Created: created.Created,
				ExpirationDate: created.ExpirationDate, AccessTokenValiditySeconds: created.AccessTokenValiditySeconds,
			}, created.Secret)
		},
	}
	request = tokenFlags(cmd)
	cmd.Flags().BoolVar(&show, "show-secret", false, "print the secret, which can't be read again")
	choiceFlag(cmd.Flags(), &a.format, "output", "o", "`FORMAT` of the output: table, json (default table)", "table", "json")
	return cmd
}

func (a *app) patchCommand() *cobra.Command {
	var name string
	var scope []string
	var expiry time.Time
	var never bool
	cmd := &cobra.Command{
		Use: "patch ID", Short: "Change one of your own tokens", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			patch := sailpoint.NewPersonalAccessTokenPatch()
			if cmd.Flags().Changed("name") {
				patch.ReplaceName(name)
			}
			if cmd.Flags().Changed("scope") {
				patch.ReplaceScope(scope...)
			}
			if !expiry.IsZero() {
				patch.ReplaceExpirationDate(expiry)
			}
			if never {
				patch.NeverExpire()
			}
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			token, err := s.tokens().Patch(cmd.Context(), args[0], patch)
			if err != nil || a.quiet {
				return err
			}
			return a.writeToken(s, token, sailpoint.Secret{})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "new `NAME`")
	wordsFlag(flags, &scope, "scope", "new `SCOPES`, separated by commas")
	timeFlag(flags, &expiry, "expiration-date", "new `DATE` of the expiry, in v2025 and later")
	flags.BoolVar(&never, "never-expires", false, "remove the expiry, in v2025 and later")
	cmd.MarkFlagsOneRequired("name", "scope", "expiration-date", "never-expires")
	cmd.MarkFlagsMutuallyExclusive("expiration-date", "never-expires")
	return a.withOutput(cmd)
}

func (a *app) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ID|self", Short: "Revoke a token for ever", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			id := args[0]
			if err := a.confirm(cmd.Context(), fmt.Sprintf("Delete the token %s of %s?", escape(id, ""), s.Tenant)); err != nil {
				return err
			}
			if id == self {
				id = s.client.ClientID()
				err = s.tokens().DeleteSelf(cmd.Context())
			} else {
				err = s.tokens().Delete(cmd.Context(), id)
			}
			if err != nil || a.quiet {
				return err
			}
			return a.write(formats{
				"table": func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "%s\ndeleted %s\n", s.title(), escape(id, ""))
					return err
				},
				"json": func(w io.Writer) error {
					return writeJSON(w, struct {
						header
						Deleted string `json:"deleted"`
					}{s.header, id})
				},
			})
		},
	}
	a.yesFlag(cmd)
	return a.withOutput(cmd)
}

// title is the first line of a table.
func (h header) title() string {
	title := h.Tenant + "  " + h.At.Format("2006-01-02 15:04:05 MST")
	if h.Demo && h.Tenant != demoTenant {
		title = demoTenant + "  " + title
	}
	return title
}

// tableOf returns the function that writes a table with its title and closing
// lines.
func (a *app) tableOf(s *session, t *table, closing ...string) func(w io.Writer) error {
	return func(w io.Writer) error {
		width := 0
		if a.toTerminal() {
			width = max(a.width, 20)
		}
		fmt.Fprintf(w, "%s\n\n", s.title())
		if len(t.rows) > 0 {
			t.write(w, width, a.toTerminal() && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb")
			fmt.Fprintln(w)
		}
		for _, line := range closing {
			fmt.Fprintln(w, escape(line, ""))
		}
		return nil
	}
}

// writeToken writes one token. A secret that isn't empty is shown.
func (a *app) writeToken(s *session, token *sailpoint.PersonalAccessToken, secret sailpoint.Secret) error {
	return a.write(formats{
		"table": a.tableOf(s, &table{
			vertical: true,
			columns: []column{
				{name: "ID"}, {name: "Name"}, {name: "Owner"}, {name: "Scope"}, {name: "Created"}, {name: "Last used"}, {name: "Expires"},
				{name: "Bearers last"}, {name: "Managed"}, {name: "Secret"},
			},
			rows: [][]string{{
				token.ID, token.Name, strings.TrimSpace(token.Owner.Name + " " + token.Owner.ID), strings.Join(token.Scope, " "),
				moment(&token.Created), moment(token.LastUsed), moment(token.ExpirationDate),
				(time.Duration(token.AccessTokenValiditySeconds) * time.Second).String(), strconv.FormatBool(token.Managed), secret.Reveal(),
			}},
		}),
		"json": func(w io.Writer) error {
			return writeJSON(w, struct {
				header
				Token  *sailpoint.PersonalAccessToken `json:"token"`
				Secret string                         `json:"secret,omitzero"`
			}{s.header, token, secret.Reveal()})
		},
	})
}

var tokenColumns = []column{
	{"ID", whole}, {"NAME", flexible}, {"OWNER", flexible}, {"LAST USED", whole}, {"EXPIRES", whole},
}

func tokenCells(token *sailpoint.PersonalAccessToken) []string {
	return []string{token.ID, token.Name, token.Owner.Name, date(token.LastUsed), date(token.ExpirationDate)}
}

// recordColumns are the columns of a token in CSV.
var recordColumns = []string{"id", "name", "owner_id", "owner_name", "created", "last_used", "expires", "scope", "bearer_seconds", "managed"}

func tokenRecord(token *sailpoint.PersonalAccessToken) []string {
	return []string{
		token.ID, token.Name, token.Owner.ID, token.Owner.Name, moment(&token.Created), moment(token.LastUsed), moment(token.ExpirationDate),
		strings.Join(token.Scope, " "), strconv.Itoa(token.AccessTokenValiditySeconds), strconv.FormatBool(token.Managed),
	}
}

// date returns a day, or "-".
func date(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// moment returns a time to the second, or "".
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
