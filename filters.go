package sailpoint

import "time"

// PersonalAccessTokenFilter is an expression in the API's filter language. The API filters tokens by lastUsed with le
// and isnull only (parameter filters of the list operation); any other expression may be written directly:
//
//	sailpoint.PersonalAccessTokenFilter(`lastUsed isnull or lastUsed le 2026-05-01T00:00:00.000Z`)
type PersonalAccessTokenFilter string

// LastUsedLE matches the tokens last used at t or before. The API compares milliseconds: what is finer is cut off.
// Whether it also returns tokens that were never used is not documented; ask for those with [LastUsedIsNull].
func LastUsedLE(t time.Time) PersonalAccessTokenFilter {
	return "lastUsed le " + PersonalAccessTokenFilter(formatTime(t))
}

// LastUsedIsNull matches the tokens that were never used.
func LastUsedIsNull() PersonalAccessTokenFilter { return "lastUsed isnull" }

// formatTime writes t as the API does: UTC, with exactly three digits of a second.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
