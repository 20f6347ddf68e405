// Package sailpointtest provides a tenant in memory for tests. A [Tenant] has a
// token endpoint, and personal access tokens in every version of the API. It
// tests programs that use package sailpoint, or any other client of the API.
//
//	tenant := sailpointtest.NewTenant()
//	client, err := sailpoint.NewClient(tenant.Config())
//
// A Tenant opens no sockets and starts no goroutines. It therefore works in a
// bubble of [testing/synctest], where the six months of a token's life pass at
// once. If a program needs a URL, httptest.NewServer(tenant) serves the tenant
// over HTTP. The command faketenant does this for programs in any language.
// [Tenant.Inject] makes requests fail.
//
// # What is known
//
// The API's documents define the paths, members, dates, defaults, bounds,
// rights, statuses and error shapes of each version. A Tenant follows them and
// rejects whatever they don't allow.
//
// # What is guessed
//
// The documents don't describe the following. A program should not rely on it.
//
// Responses:
//   - A name that exists and an eleventh token are errors with status 400. The
//     detailCode and causes of every 400 are guessed too.
//   - A wrong method is a 405 and a wrong media type is a 415. Their bodies are
//     guessed. HEAD is a 405. A path that doesn't exist is a 404, also without
//     a bearer.
//   - If a request has several faults, the first in this order decides: 401,
//     429, 405, 403 (no right to the operation at all), 415, 404 or 403 (of the
//     one token), 400.
//   - Someone else's token is a 404 if the caller may not see it, and a 403 if
//     the caller may see but not change it. An administrator who patches
//     someone else's token also gets the 403. A managed token that the caller
//     may not see is a 404.
//   - The token endpoint responds with 401 if the credentials are wrong, and
//     with 400 to every other fault. It looks for parameters in the Basic
//     header, then the query, then the body.
//   - The signature of a bearer's JWT is random.
//
// Bearers:
//   - A bearer ends with its PAT, also when the PAT is deleted (401). An
//     expired or deleted PAT is an invalid_client.
//   - lastUsed moves when a bearer is issued 24 hours or more after its last
//     move.
//   - A change of scope applies to the next bearer at once, and not up to 20
//     minutes later. The parameter scope is ignored.
//   - The prefixes "sp:" and "idn:" of a right mean the same. Any other scope
//     is accepted and grants nothing here.
//   - A right to manage includes the right to read. A right to all tokens
//     includes one's own. There is one exception: only the right to manage
//     one's own tokens allows patching them.
//
// Tokens:
//   - The list is in the order of creation. It includes expired tokens, and
//     they count towards the ten tokens of an owner. Managed tokens don't
//     count.
//   - The rate limit covers the last 10 seconds. Rejected requests don't count,
//     and neither do those of the token endpoint.
//   - A filter with le doesn't match a token that was never used. A filter with
//     not le does. Filters can be combined.
//   - limit, offset, count, sorters and other parameters are ignored. An empty
//     owner-id or filters is ignored too. An owner that doesn't exist has no
//     tokens.
//   - Six months after a 31st is the last day of the month if that month is
//     shorter.
//   - Names are compared byte for byte and must not be blank. A scope is any
//     text that isn't empty.
//   - If a token never expires, its expirationDate is null where the version's
//     documents allow null in the list. This also holds for the response to
//     Create. Other versions omit the member. lastUsed is null until the first
//     use.
//   - Versions since v2025 show userAwareTokenNeverExpires, but not for a token
//     that was added without it.
//
// Patches:
//   - The operations are add, remove, replace and test, on whole fields. move
//     and copy are rejected. An empty patch changes nothing. Unknown members of
//     an operation are ignored (RFC 6902).
//   - Removing the scope, or setting it to null or to an empty list, grants
//     every right of the owner, as in Create.
//   - The final values of the fields are checked, not the steps. The
//     acknowledgement alone doesn't remove an expiry. It can't be withdrawn
//     while the token has no expiry.
//   - A bulk update changes all of its tokens or none. It is a 400 if an id
//     doesn't exist or names a managed token that the caller may not see.
package sailpointtest
