package sailpoint

import "time"

// PersonalAccessTokenFilter is an expression in the API's filter language. The
// API filters tokens only by lastUsed, with le and isnull (parameter filters of
// the list operation). You can also write an expression directly:
//
//	sailpoint.PersonalAccessTokenFilter(`lastUsed isnull or lastUsed le 2026-05-01T00:00:00.000Z`)
type PersonalAccessTokenFilter string

// LastUsedLE matches the tokens last used at or before t. The API compares
// milliseconds, so t is cut off to those. SailPoint doesn't document whether
// the result includes tokens that were never used. Use [LastUsedIsNull] for
// those.
func LastUsedLE(t time.Time) PersonalAccessTokenFilter {
	return "lastUsed le " + PersonalAccessTokenFilter(formatTime(t))
}

// LastUsedIsNull matches the tokens that were never used.
func LastUsedIsNull() PersonalAccessTokenFilter { return "lastUsed isnull" }
