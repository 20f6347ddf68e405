// Package lifecycle looks after personal access tokens from their creation to
// their deletion:
//   - [Issue] creates a token and makes sure that its secret is stored.
//   - [Rotate] replaces the stored token by a new one and deletes the old one.
//   - [TokenSource] lets a service follow each rotation without a restart.
//   - [Renew] extends the expiry of tokens that will expire soon. Their secrets
//     stay the same.
//   - [Audit] finds tokens that are unused, expired, near or without an expiry,
//     or that have more rights than most jobs need. Package report writes its
//     result as JSON, CSV or HTML.
//   - [Prune] deletes the tokens that have the findings you choose.
//
// Renew and Prune are dry runs, which change nothing, unless Apply is set.
// Issue a token once, and rotate it from a job that runs daily:
//
//	store := lifecycle.FileStore{Path: "/var/lib/nightly-report/pat.json"}
//	result, err := lifecycle.Issue(ctx, client, req, store)
//
//	opts := lifecycle.RotateOptions{IfOlderThan: 30 * 24 * time.Hour}
//	result, err := lifecycle.Rotate(ctx, client, store, opts)
//
// This deletes the tokens that have expired, or that were unused for 90 days,
// which is the default of StaleAfter. A token is stale one day later than its
// lastUsed suggests, because the API updates it only once a day:
//
//	report, err := lifecycle.Audit(ctx, client, lifecycle.AuditPolicy{NeverUsedAfter: 90 * 24 * time.Hour})
//	if err != nil { … }
//	changes, err := lifecycle.Prune(ctx, client, report, lifecycle.PruneOptions{
//		Kinds: []lifecycle.Kind{lifecycle.FindingExpired, lifecycle.FindingStale, lifecycle.FindingNeverUsed},
//		Apply: true,
//	})
//	for _, c := range changes { … } // check each c.Status: err is nil even if every deletion failed
//
// In this documentation a token is a personal access token. A bearer is the
// short-lived OAuth2 access token that a client gets for a token's ID and
// secret. A managed token is one that the platform itself created and uses. A
// run is one call of Issue or Rotate.
//
// # Issue and Rotate
//
// [Issue] and [Rotate] keep one token's secret in a [Store], such as a file. A
// lost response, a full disk or kill -9 may interrupt them at any point. Call
// them again to continue. They keep their state only in the store and in the
// names of the tokens. They promise:
//   - From the first call of Rotate to the last, the store holds a secret that
//     the tenant accepts.
//   - They never delete the token whose secret is stored, nor one whose secret
//     a late write may still store.
//   - They never delete somebody else's token. They delete only tokens that
//     this run made, the token that the stored one replaced, and tokens whose
//     temporary name shows that an earlier run made them for the same purpose.
//   - One successful call cleans up whatever earlier calls of the same function
//     left.
//   - An error lists every token that the run made and left. It also lists
//     every request to create a token that may still take effect.
//
// If the store compares versions, these promises hold even if several instances
// of the job run at once, or if a write to the store takes effect late. See
// [Store].
//
// A new token has a temporary name until its secret is stored and the old token
// is deleted. Issue appends -new- and 16 hexadecimal digits to the final name,
// and Rotate appends -next- and 24. Such a token may hold the only working
// secret, so don't delete it. The next run of the same function deletes or
// renames it. [Prune] and [Renew] skip it. The last eight digits are a checksum,
// so a name that somebody typed isn't a temporary one. In a test, make one by a
// Rotate that fails, for example because its DELETE gets a 403.
//
// If ctx ends after a token was created, Issue and Rotate find out whether its
// secret is stored, and delete the token if not. This takes at most two minutes.
//
// The API can't delete or rename a token on a condition. The promises therefore
// don't hold if a person deletes or renames these tokens during a run.
//
// Keep each token in only one store. A copy of its secret elsewhere stops
// working when Rotate deletes the token.
package lifecycle
