package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// choiceFlag defines a flag whose value is one of the choices.
func choiceFlag(flags *pflag.FlagSet, p *string, name, shorthand, usage string, choices ...string) {
	flags.FuncP(name, shorthand, usage, func(value string) error {
		if !slices.Contains(choices, value) {
			return fmt.Errorf("use one of %s", strings.Join(choices, ", "))
		}
		*p = value
		return nil
	})
}

// durationFlag defines a flag whose value is a duration such as 12h or 30d.
func durationFlag(flags *pflag.FlagSet, p *time.Duration, name, usage string) {
	flags.Func(name, usage, func(value string) (err error) {
		*p, err = parseDuration(value)
		return err
	})
}

func parseDuration(value string) (time.Duration, error) {
	const day, most = 24 * time.Hour, 100 * 365
	if days, ok := strings.CutSuffix(value, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n <= most {
			return time.Duration(n) * day, nil
		}
	} else if d, err := time.ParseDuration(value); err == nil && d >= 0 && d <= most*day {
		return d, nil
	}
	return 0, fmt.Errorf("use a duration such as 12h or 30d, of at most %d days", most)
}

// kindsFlag defines a flag whose value is a list of kinds of findings.
func kindsFlag(flags *pflag.FlagSet, p *[]lifecycle.Kind, name, usage string) {
	flags.Func(name, usage, func(value string) error {
		*p = nil
		for _, item := range words(value) {
			kind := lifecycle.Kind(item)
			if !slices.Contains(lifecycle.Kinds(), kind) {
				return fmt.Errorf("use some of %s", strings.Trim(fmt.Sprint(lifecycle.Kinds()), "[]"))
			}
			*p = append(*p, kind)
		}
		return nil
	})
}

// wordsFlag defines a flag whose value is a list of words.
func wordsFlag(flags *pflag.FlagSet, p *[]string, name, usage string) {
	flags.Func(name, usage, func(value string) error {
		*p = append(*p, words(value)...)
		return nil
	})
}

// words splits a list at commas and spaces.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// timeFlag defines a flag whose value is a date, or a time of RFC 3339.
func timeFlag(flags *pflag.FlagSet, p *time.Time, name, usage string) {
	flags.Func(name, usage, func(value string) (err error) {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if *p, err = time.Parse(layout, value); err == nil {
				return nil
			}
		}
		return fmt.Errorf("use a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z")
	})
}
