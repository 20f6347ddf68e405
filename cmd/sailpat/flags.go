package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

const day = 24 * time.Hour

// durationFlag defines a flag with a value such as 12h or 30d. It rejects 0
// unless the usage says what 0 means.
func durationFlag(flags *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	flags.Func(name, fmt.Sprintf("%s (default %v)", usage, model.Duration(value)), func(text string) error {
		parsed, err := model.ParseDuration(text)
		if err != nil || parsed == 0 && !strings.Contains(usage, "; 0 ") {
			return usageError("use a time such as 30m, 12h or 30d")
		}
		*p = time.Duration(parsed)
		return nil
	})
}

// choiceFlag defines a flag whose value is one of the choices. %s in usage
// stands for them.
func choiceFlag(flags *pflag.FlagSet, p *string, name, shorthand, usage string, choices ...string) {
	list := strings.Join(choices, ", ")
	flags.FuncP(name, shorthand, fmt.Sprintf(usage, list), func(value string) error {
		if !slices.Contains(choices, value) {
			return fmt.Errorf("use one of %s", list)
		}
		*p = value
		return nil
	})
}

// kindsFlag defines a flag whose value is a list of some of these kinds of
// findings. If it is repeated, the lists are joined. %v in usage stands for
// kinds.
func kindsFlag(flags *pflag.FlagSet, p *[]lifecycle.Kind, name, usage string, kinds []lifecycle.Kind) {
	var given []lifecycle.Kind
	flags.Func(name, fmt.Sprintf(usage, kinds), func(value string) error {
		for word := range strings.SplitSeq(value, ",") {
			if !slices.Contains(kinds, lifecycle.Kind(word)) {
				return fmt.Errorf("use some of %v, separated by commas", kinds)
			}
			given = append(given, lifecycle.Kind(word))
		}
		*p = given
		return nil
	})
}

// requestFlags adds the flags that describe a new token.
func requestFlags(cmd *cobra.Command, req *sailpoint.CreatePersonalAccessTokenRequest) {
	flags := cmd.Flags()
	flags.StringVar(&req.Name, "name", "", "`NAME` of the token, unique among its owner's")
	flags.StringSliceVar(&req.Scope, "scope", nil, "`SCOPES` of the token, separated by commas")
	flags.IntVar(&req.AccessTokenValiditySeconds, "access-token-validity-seconds", 0, "`SECONDS` that the token's bearers last (default 43200)")
	expiryFlag(cmd, &req.ExpirationDate, "`DATE` on which the token expires, such as 2027-01-31 (default in six months, up to v2024)")
	flags.BoolVar(&req.UserAwareTokenNeverExpires, "user-aware-token-never-expires", false, "confirm that the token may have no expiry, in v2025 and later")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("scope")
}

func expiryFlag(cmd *cobra.Command, p *time.Time, usage string) {
	cmd.Flags().TimeVar(p, "expiration-date", time.Time{}, []string{time.DateOnly, time.RFC3339}, usage)
}

func ownerFlag(cmd *cobra.Command, p *string) {
	cmd.Flags().StringVar(p, "owner-id", "", "only the tokens of the identity `ID`; me means your own")
}

// checkFlags rejects an empty value, such as that of an unset variable, because
// it would select more than was meant. It also rejects a question that nobody
// can see.
func (a *app) checkFlags(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" || f.Value.String() == "[]" {
			err = usageError("--" + f.Name + " is empty: set it or leave it out")
		}
		if number, none := flags.GetInt(f.Name); none == nil && number < 1 {
			err = usageError("--" + f.Name + " must be at least 1")
		}
	})
	if a.apply && a.inTerminal && !a.errTerminal && !a.yes {
		return usageError("the question can't be seen, because standard error is not a terminal: add --yes")
	}
	if err != nil || a.file == "" {
		return err
	}
	return a.checkFile()
}

// checkFile rejects a file that can't or must not be replaced.
func (a *app) checkFile() error {
	stat := func(path string) os.FileInfo { info, _ := os.Stat(path); return info }
	place := strings.TrimPrefix(a.store, "file:")
	switch file := stat(a.file); {
	case file != nil && !file.Mode().IsRegular():
		return usageError(fmt.Sprintf("--file: %q is not a regular file, and only such a file is replaced: leave out --file to write to standard output", a.file))
	case os.SameFile(file, stat(place)),
		filepath.Base(a.file) == filepath.Base(place) && os.SameFile(stat(filepath.Dir(a.file)), stat(filepath.Dir(place))):
		return usageError("--file would replace the secret in the store: choose another file for the output")
	}
	return checkFolder("--file", a.file)
}

// checkFolder returns an error if the folder of a flag's file does not exist.
func checkFolder(flag, path string) error {
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		return usageError(fmt.Sprintf("%s: there is no folder %q: create it", flag, filepath.Dir(path)))
	}
	return nil
}

// applyFlags adds the flags of a command that changes many tokens.
func (a *app) applyFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.apply, "apply", false, "make the changes; without it, only print them")
	cmd.Flags().BoolVar(&a.yes, "yes", false, "don't ask on a terminal")
}

// policyFlags adds the flags that describe an audit.
func policyFlags(cmd *cobra.Command, policy *lifecycle.AuditPolicy) {
	flags := cmd.Flags()
	ownerFlag(cmd, &policy.OwnerID)
	durationFlag(flags, &policy.NeverUsedAfter, "never-used-after", 30*day, "`AGE` from which a token that was never used is reported")
	durationFlag(flags, &policy.StaleAfter, "stale-after", 90*day, "`TIME` since the last use from which a token is reported")
	durationFlag(flags, &policy.ExpiringWithin, "expiring-within", 30*day, "`TIME` before the expiry from which a token is reported")
	durationFlag(flags, &policy.MaxBearer, "max-bearer", 12*time.Hour, "longest `LIFETIME` of bearers")
	flags.IntVar(&policy.NearLimit, "near-limit", 8, "`NUMBER` of tokens from which an owner is reported")
	durationFlag(flags, &policy.Grace, "grace", 0, "`AGE` from which an unfinished rotation is reported; 0 reports each")
}
