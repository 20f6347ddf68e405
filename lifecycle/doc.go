// Package lifecycle keeps personal access tokens in order over months. It
// audits them, prunes those that nobody uses, moves expiries, issues a token
// whose secret is certainly stored, and rotates it before it expires.
//
// # Issue and Rotate
//
// [Issue] and [Rotate] keep one token's secret in a [Store]. Both may be
// interrupted anywhere, by a lost response, a full disk or kill -9. Call them
// again to continue. All their state is in the store and in the names of the
// tokens. They promise:
//   - The store holds a secret that the tenant accepts, from the first call of
//     Rotate to the last.
//   - They never delete a token that the store holds, or that a write in
//     progress may still store.
//   - They never delete somebody else's token. They delete only tokens that
//     this run made, the token that the stored one replaced, and tokens that
//     carry the mark of an earlier run for the same token.
//   - One successful call cleans up whatever earlier calls left.
//   - An error lists every token that the run made and left, and every create
//     that may still take effect.
//
// A [Store] that compares versions keeps these promises even if several
// instances of the job run at once or a write arrives late.
//
// A token that is not settled yet has a temporary name. It is the final name
// followed by -new- or -next- and a mark. Such a token may hold the only
// working secret, so leave it to the next run. [Prune] and [Renew] do.
//
// The API has no conditional delete or rename. A person who deletes or renames
// these tokens at the same moment therefore wins. Keep each token in only one store.
package lifecycle
