package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
)

// listRight is part of the help of commands that list tokens.
const listRight = "It needs the right sp:all-personal-access-tokens:read, or with --owner-id me\nsp:my-personal-access-tokens:read."

// self is the argument that stands for the client's own token.
const self = "self"

func (a *app) addList(root *cobra.Command) {
	var opts sailpoint.ListPersonalAccessTokensOptions
	cmd := a.add(root, "list", "List tokens", listRight, "table json csv", func(ctx context.Context, s *session, _ []string) (*result, error) {
		tokens, err := s.client.PersonalAccessTokens.List(ctx, opts)
		if err != nil {
			return nil, err
		}
		r := &result{
			columns: spreadsheet.TokenColumns(),
			shown:   []string{"token_id", "token_name", "owner_name", "last_used", "expires"},
			closing: []string{count(len(tokens))},
			members: map[string]any{"tokens": append([]sailpoint.PersonalAccessToken{}, tokens...)}, // never null
		}
		for i := range tokens {
			r.records = append(r.records, spreadsheet.Token(&tokens[i]))
		}
		return r, nil
	})
	ownerFlag(cmd, &opts.OwnerID)
	cmd.Flags().StringVar((*string)(&opts.Filter), "filters", "", "`FILTER` of the API, such as 'lastUsed isnull'")
}

func (a *app) addGet(root *cobra.Command) {
	const more = "It needs the right sp:all-personal-access-tokens:read, or for your own tokens\nsp:my-personal-access-tokens:read."
	a.add(root, "get ID|self", "Show a token", more, "table json", func(ctx context.Context, s *session, args []string) (*result, error) {
		if args[0] == self {
			return tokenResult(s.client.PersonalAccessTokens.Self(ctx))
		}
		return tokenResult(s.client.PersonalAccessTokens.Get(ctx, args[0]))
	})
}

func (a *app) addCreate(root *cobra.Command) {
	var req sailpoint.CreatePersonalAccessTokenRequest
	show := false
	cmd := a.add(root, "create", "Create a token and show its secret once", `To keep the secret in a store instead, use "sailpat issue". It needs the right
sp:my-personal-access-tokens:manage.`, "",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			if !show {
				return nil, usageError(`the secret would be lost: add --show-secret to see it once, or use "sailpat issue" to store it`)
			}
			signal.Ignore(syscall.SIGPIPE) // a closed pipe is then an error
			c, err := s.client.PersonalAccessTokens.Create(ctx, req)
			if errors.As(err, new(*sailpoint.CreateOutcomeError)) {
				err = fmt.Errorf(`%w: look for it with "sailpat list --owner-id me" and delete it`, err)
			}
			if err != nil {
				return nil, err
			}
			r, _ := tokenResult(&sailpoint.PersonalAccessToken{
				ID: c.ID, Name: c.Name, Scope: c.Scope, Owner: c.Owner, Created: c.Created, ExpirationDate: c.ExpirationDate,
				AccessTokenValiditySeconds: c.AccessTokenValiditySeconds,
			}, nil)
			r.closing, r.members["secret"] = []string{"secret: " + c.Secret.Reveal()}, c.Secret.Reveal()
			if err := a.write(s, r); err != nil {
				return nil, fmt.Errorf("the secret of the new token is lost: delete the token %s: %w", c.ID, err)
			}
			return nil, nil
		})
	requestFlags(cmd, &req)
	cmd.Flags().BoolVar(&show, "show-secret", false, "print the secret, which can't be read again")
	choiceFlag(cmd.Flags(), &a.format, "output", "o", "`FORMAT` of the output: %s (default table)", "table", "json")
}

func (a *app) addPatch(root *cobra.Command) {
	var name string
	var scope []string
	var expiry time.Time
	var never bool
	cmd := a.add(root, "patch ID", "Change one of your own tokens", "It needs the right sp:my-personal-access-tokens:manage.", "table json", func(ctx context.Context, s *session, args []string) (*result, error) {
		patch := sailpoint.NewPersonalAccessTokenPatch()
		if name != "" {
			patch.ReplaceName(name)
		}
		if len(scope) > 0 {
			patch.ReplaceScope(scope...)
		}
		if !expiry.IsZero() {
			patch.ReplaceExpirationDate(expiry)
		}
		if never {
			patch.NeverExpire()
		}
		r, err := tokenResult(s.client.PersonalAccessTokens.Patch(ctx, args[0], patch))
		if err == nil {
			r.silent = a.quiet
		}
		return r, err
	})
	cmd.Flags().StringVar(&name, "name", "", "new `NAME`")
	cmd.Flags().StringSliceVar(&scope, "scope", nil, "new `SCOPES`, separated by commas")
	expiryFlag(cmd, &expiry, "new `DATE` of the expiry, in v2025 and later")
	cmd.Flags().BoolVar(&never, "never-expires", false, "remove the expiry, in v2025 and later")
	cmd.MarkFlagsOneRequired("name", "scope", "expiration-date", "never-expires")
	cmd.MarkFlagsMutuallyExclusive("expiration-date", "never-expires")
}

func (a *app) addDelete(root *cobra.Command) {
	const more = "This can't be undone. It needs the right sp:my-personal-access-tokens:manage,\nand for another owner's token sp:all-personal-access-tokens:manage."
	a.add(root, "delete ID|self", "Revoke a token", more, "table json", func(ctx context.Context, s *session, args []string) (*result, error) {
		id, remove := args[0], s.client.PersonalAccessTokens.Delete
		if id == self {
			id, remove = s.client.ClientID(), func(ctx context.Context, _ string) error { return s.client.PersonalAccessTokens.DeleteSelf(ctx) }
		}
		err := remove(ctx, id)
		if errors.Is(err, sailpoint.ErrSelf) {
			err = usageError(`this is the token that sailpat itself uses: to delete it, use "sailpat delete self"`)
		}
		if err != nil {
			return nil, err
		}
		return &result{silent: a.quiet, closing: []string{"deleted " + id}, members: map[string]any{"deleted": id}}, nil
	})
}

func (a *app) addBearer(root *cobra.Command) {
	show := false
	cmd := a.add(root, "bearer", "Print a bearer for other programs, such as curl",
		"A bearer is an OAuth2 access token. It grants the rights of the PAT until it\nexpires.", "",
		func(ctx context.Context, s *session, _ []string) (*result, error) {
			if a.outTerminal && !show {
				return nil, usageError("the bearer is a secret: send the output to a program, or add --show to print it to this terminal")
			}
			token, err := s.client.AccessToken(ctx, sailpoint.Secret{})
			if err == nil {
				_, err = fmt.Fprintln(a.out, token.Bearer.Reveal())
			}
			return nil, err
		})
	cmd.Example = `  sailpat bearer | sed 's/^/Authorization: Bearer /' | curl -H @- "$SAIL_BASE_URL/v2024/personal-access-tokens"`
	cmd.Flags().BoolVar(&show, "show", false, "print the bearer even to a terminal")
}

func tokenResult(token *sailpoint.PersonalAccessToken, err error) (*result, error) {
	if err != nil {
		return nil, err
	}
	return &result{columns: spreadsheet.TokenColumns(), records: [][]string{spreadsheet.Token(token)}, members: map[string]any{"token": token}}, nil
}

func count(n int) string {
	if n == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", n)
}
