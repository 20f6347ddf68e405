// Package lifecycle does what people do with personal access tokens over months: see which ones there are, delete the
// ones that nobody uses, move expiries, issue a token whose secret is certainly stored, and replace it before it
// expires.
//
// # Issue and Rotate
//
// [Issue] and [Rotate] keep one token's secret in a [Store]. Both may be interrupted anywhere (a lost reply, a full
// disk, kill -9) and are simply called again: what they need to go on is in the store and in the names of the tokens,
// nowhere else. They promise:
//   - The store holds a secret that the tenant accepts, from the first call of Rotate to the last.
//   - No token is deleted that the store holds, or that a write under way may still put there.
//   - No token is deleted that somebody else made: only what a run made itself, the token that the stored one replaced,
//     and what carries the mark of an earlier run for the same token.
//   - One call without a failure puts in order whatever earlier calls left.
//   - An error names every token that the run made and left, and every create that may still come into effect.
//
// A [Store] that compares versions keeps these promises also beside other instances of the same job and beside writes
// that arrive late.
//
// They give a token a temporary name while it is not settled: the final name followed by -new- or -next- and a mark.
// A token with such a name may hold the only working secret: leave it to the next run. [Prune] and [Renew] do.
//
// What nobody can promise: the API knows no condition on a delete or a change of a name, so a person who deletes or
// renames these tokens at the same moment wins. One token belongs in one store.
package lifecycle
