package sailpoint

import "time"

// PersonalAccessTokenFilter is a filter expression of the API, such as
// [LastUsedLE] returns. The API filters tokens only by lastUsed, and only with
// the operators le and isnull. You can also write an expression yourself:
//
//	sailpoint.PersonalAccessTokenFilter(`lastUsed isnull or lastUsed le 2026-05-01T00:00:00.000Z`)
type PersonalAccessTokenFilter string

// LastUsedLE matches the tokens that were last used at or before t, cut to
// whole milliseconds. SailPoint doesn't document whether it also matches tokens
// that were never used. [LastUsedIsNull] matches those.
func LastUsedLE(t time.Time) PersonalAccessTokenFilter {
	return "lastUsed le " + PersonalAccessTokenFilter(formatTime(t))
}

// LastUsedIsNull matches the tokens that were never used.
func LastUsedIsNull() PersonalAccessTokenFilter { return "lastUsed isnull" }
