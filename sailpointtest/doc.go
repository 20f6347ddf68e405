// Package sailpointtest provides a fake tenant for tests. A [Tenant] keeps its
// personal access tokens (PATs) in memory, and serves the OAuth2 token endpoint
// and the operations on PATs in every version of the API. Use it to test
// programs that use package sailpoint, or any other client of the API.
//
//	tenant := sailpointtest.NewTenant()
//	client, err := sailpoint.NewClient(tenant.Config())
//
// A Tenant opens no sockets and starts no goroutines. It therefore works in a
// bubble of [testing/synctest], where a test can wait six months for a token to
// expire without taking real time. [Tenant.Inject] makes requests fail,
// [Tenant.Add] adds tokens, and [Tenant.Requests] and [Tenant.Tokens] show what
// a program did.
//
// If a program needs a URL, serve the tenant over HTTP:
//
//	server := httptest.NewServer(tenant)
//
// The command cmd/faketenant of this module does this for programs in any
// language.
//
// A bearer is the short-lived OAuth2 access token that the token endpoint
// issues. A managed token is one that the platform itself created.
//
// # What is known
//
// The API's documents define the paths, JSON members, dates, defaults, limits,
// rights, statuses and error bodies of each version. A Tenant follows them and
// rejects whatever they don't allow.
//
// # What is guessed
//
// The documents don't describe the following. The real API may behave
// differently, so a program should not rely on it.
//
// Responses:
//   - A create or a rename with a name that another token of the owner has is
//     rejected with 400, and so is the create of an eleventh token. The
//     detailCode and causes of every 400 are guessed too.
//   - A wrong method is a 405 and a wrong media type is a 415. Their bodies are
//     guessed. HEAD is a 405. A path that doesn't exist is a 404, also without
//     a bearer.
//   - If several errors apply to a request, the response is the first of these:
//     401, 429, 405, 403 (no right to the operation at all), 415, 404 or 403
//     (about the one token), 400.
//   - Someone else's token is a 404 if the caller may not see it, and a 403 if
//     the caller may see but not change it. An administrator who patches
//     someone else's token also gets the 403. A managed token that the caller
//     may not see is a 404.
//   - The token endpoint responds with 401 to wrong or missing credentials, and
//     with 400 to any other invalid request. It looks for parameters in the
//     Basic Authorization header, then the query, then the body.
//   - The signature of a bearer's JWT is random.
//
// Bearers:
//   - A bearer is valid no longer than its PAT. After the PAT has expired or
//     was deleted, requests with the bearer get a 401, and the token endpoint
//     responds with invalid_client.
//   - lastUsed is updated when a bearer is issued, but only if the last update
//     is at least 24 hours old.
//   - A change of a PAT's scope applies to the next bearer at once, and not up
//     to 20 minutes later. The token endpoint ignores its parameter scope.
//   - The prefixes "sp:" and "idn:" of a right mean the same. Any other scope
//     is accepted and grants nothing here.
//   - A right to manage includes the right to read. A right to all tokens
//     includes the caller's own. A patch of a single token is an exception,
//     which needs the right to manage one's own tokens.
//
// Tokens:
//   - The list is in the order in which tokens were added or created, whatever
//     their created date. It includes expired tokens, which count towards the
//     limit of ten tokens for each owner. Managed tokens don't count.
//   - The rate limit counts the requests of the last 10 seconds. It does not
//     count those that it rejected, nor requests to the token endpoint.
//   - A filter "lastUsed le …" doesn't match a token that was never used. The
//     same filter with not does. Filters can be combined.
//   - limit, offset, count, sorters and other parameters are ignored. An empty
//     owner-id or filters is ignored too. An owner that doesn't exist has no
//     tokens.
//   - If the day six months from now doesn't exist, such as February 31, the
//     last day of that month is used.
//   - Names are compared byte for byte and must not be blank. A scope is any
//     text that isn't empty.
//   - If a token never expires, its expirationDate is null in versions whose
//     documents allow null in the list. Other versions omit the member. The
//     response to a create does the same. lastUsed is null until the first use.
//   - Versions since v2025 show userAwareTokenNeverExpires, but not for a token
//     that [Tenant.Add] added without it.
//
// Patches:
//   - The operations are add, remove, replace and test, on whole fields. move
//     and copy are rejected. An empty patch changes nothing. Unknown members of
//     an operation are ignored (RFC 6902).
//   - Removing the scope, or setting it to null or to an empty list, grants
//     every right of the owner, as in Create.
//   - The values after the whole patch are checked, not those after each
//     operation. Setting userAwareTokenNeverExpires to true doesn't remove the
//     expiry. It can't be set to false while the token has no expiry.
//   - A bulk update changes all of its tokens or none. The response is a 400 if
//     an id doesn't exist or belongs to a managed token that the caller may not
//     see.
package sailpointtest
