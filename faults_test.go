package sailpoint_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// kindOfFault is a kind of fault and the tests that cover it. The client
// recovers from it or reports it. Package lifecycle tests how a run recovers.
type kindOfFault struct {
	name     string
	tests    []func(*testing.T)
	matrix   []string // rows of matrixRows
	outcomes []string // rows of createOutcomes
}

func by(tests ...func(*testing.T)) []func(*testing.T) { return tests }

var kindsOfFaults = []kindOfFault{
	// The transport
	{name: "connection refused", tests: by(TestDialRefused), matrix: []string{"never sent"}},
	{name: "unknown host", tests: by(TestUnknownHost), matrix: []string{"host unknown"}},
	{name: "temporary DNS failure", tests: by(TestTemporaryDNSFailure), matrix: []string{"temporary failure of DNS"}},
	{name: "dial that hangs", tests: by(TestDialThatHangs)},
	{name: "untrusted certificate", tests: by(TestUntrustedCertificate), matrix: []string{"certificate"}},
	{name: "no common TLS version", tests: by(TestNoCommonTLSVersion), matrix: []string{"TLS alert"}},
	{name: "server without TLS", tests: by(TestServerWithoutTLS), matrix: []string{"no TLS"}},
	{name: "handshake stalls", tests: by(TestHandshakeThatStalls)},
	{name: "reset in the handshake", tests: by(TestResetDuringTheHandshake)},
	{name: "reset after the request", tests: by(TestResetAfterTheRequest), matrix: []string{"reset"}},
	{name: "closed after a delete", tests: by(TestConnectionClosedAfterADelete)},
	{name: "connection closed while idle", tests: by(TestConnectionClosedWhileIdle)},
	{name: "no response", tests: by(TestNoResponse, TestAttemptTimeout)},
	{name: "response that is not HTTP", tests: by(TestResponseThatIsNotHTTP)},
	{name: "body shorter than its length", tests: by(TestResponseBodyCutAtEveryByte), outcomes: []string{"cut before the id", "cut after the id"}},
	{name: "chunked body cut", tests: by(TestResponseBodyCutAtEveryByte), outcomes: []string{"reset within the body"}},
	{name: "body cut at the end of the connection", tests: by(TestResponseBodyCutAtEveryByte), outcomes: []string{"cut without an error"}},
	{name: "reset in the body", tests: by(TestResetDuringTheBody), matrix: []string{"response cut short"}},
	{name: "one byte a second", tests: by(TestOneByteASecond)},
	{name: "503 with a body that stalls", tests: by(TestErrorBodyThatStalls)},
	{name: "stream reset and GOAWAY", tests: by(TestHTTP2StreamReset, TestHTTP2GoAway)},
	{name: "HTTP/2 server silent", tests: by(TestSilentHTTP2Server)},
	{name: "413 while the request is written", tests: by(TestContentTooLargeWhileTheRequestIsWritten)},
	{name: "error response of a proxy", tests: by(TestProxyRejectsTheConnection)},
	{name: "connections under retries", tests: by(TestRetriesReuseConnections)},
	{name: "context ends at any instant", tests: by(TestContextThatEndsAtAnyInstant, TestCompleteResponseCountsAfterTheContextEnded)},
	{name: "context ended by the failure of another call", tests: by(TestContextEndedByAnotherCall)},
	// The status
	{name: "Retry-After in seconds", tests: by(TestRetryAfter)},
	{name: "Retry-After too long", tests: by(TestRetryAfter)},
	{name: "Retry-After that overflows or is invalid", tests: by(TestRetryAfter)},
	{name: "Retry-After as a date", tests: by(TestRetryAfter)},
	{name: "Retry-After beyond the deadline", tests: by(TestNoWaitPastTheDeadline)},
	{name: "no response after a Retry-After", tests: by(TestRetryAfterIsWaitedForOnce)},
	{name: "429 to many goroutines", tests: by(TestPauseIsShared)},
	{name: "endless 429", tests: by(TestEndlessRateLimit)},
	{name: "5xx", matrix: []string{"500", "502", "503", "504"}},
	{name: "outage", tests: by(TestOutageCostsAboutOneRequestPerCall)},
	{name: "401 once", tests: by(TestRejectedBearerIsRenewedOnce)},
	{name: "401 always", tests: by(TestBearerThatIsAlwaysRejected), matrix: []string{"401"}},
	{name: "401 to many calls", tests: by(TestBearerRejectedForManyCalls)},
	{name: "renewal returns the same bearer", tests: by(TestSameBearerIsNotRetried)},
	{name: "statuses that are final", matrix: []string{"403", "404", "409", "418", "431", "451"}},
	{name: "408 and 425", matrix: []string{"408", "425"}},
	{name: "unexpected statuses", matrix: []string{"999", "101", "202", "204", "206"}, outcomes: []string{"202"}},
	{name: "redirect of the API", tests: by(TestAPIRedirectIsNotFollowed)},
	{name: "304", matrix: []string{"304"}},
	// The body
	{name: "gzip bomb", tests: by(TestGzipBomb)},
	{name: "endless body", tests: by(TestEndlessBody)},
	{name: "body at its limit", tests: by(TestMaxListBytes, TestCreateResponseAtItsSizeLimit)},
	{name: "endless header", tests: by(TestResponseHeaderIsBounded, TestHugeResponseHeader)},
	{name: "deep JSON", tests: by(TestDeepJSON)},
	{name: "duplicate members", tests: by(TestDuplicateMembers), outcomes: []string{"two secrets"}},
	{name: "invalid UTF-8", outcomes: []string{"secret not UTF-8", "secret with a replacement", "secret with half a surrogate"}},
	{name: "body that is not one object", tests: by(TestBodyThatIsNotOneObject), outcomes: []string{"a list of tokens", "null", "empty"}},
	{name: "response of a proxy", tests: by(TestResponsesOfAProxy), outcomes: []string{"HTML"}},
	{name: "huge error body", tests: by(TestErrorOfAHugeBody)},
	{name: "forms of errors", tests: by(TestErrorHoldsWhatTheResponseSays)},
	{name: "unexpected members", tests: by(TestUnexpectedMembers)},
	{name: "lists of any length", tests: by(TestListsOfManyLengths)},
	// The token endpoint
	{name: "credentials rejected", tests: by(TestRejectedCredentialsAreTriedOnce)},
	{name: "temporary failure of the token endpoint", tests: by(TestTemporaryTokenEndpointFailure)},
	{name: "token response without a token", tests: by(TestTokenResponseWithoutAToken)},
	{name: "any expires_in", tests: by(TestBearerLifetime)},
	{name: "any token_type", tests: by(TestTokenType)},
	{name: "bearer that cannot be sent", tests: by(TestBearerThatCannotBeSent)},
	{name: "redirect of the token endpoint", tests: by(TestTokenEndpointRedirectIsNotFollowed)},
	{name: "client secret echoed", tests: by(TestNoErrorLeaks)},
	{name: "token endpoint stalls", tests: by(TestEachWaiterLeavesAtItsOwnDeadline)},
	{name: "leader cancelled", tests: by(TestFetchContinuesAfterItsFirstCallEnds)},
	{name: "fetch panics", tests: by(TestFetchThatPanics)},
	{name: "clocks that jump", tests: by(TestClocksThatJump)},
	{name: "renewal fails", tests: by(TestRenewalThatFails)},
	{name: "404 of the token endpoint", tests: by(TestStatusOfTheTokenEndpointMatches)},
	{name: "429 of the token endpoint", tests: by(TestRetryAfterOfTheTokenEndpoint)},
	// The caller's arguments
	{name: "invalid ids", tests: by(TestUnsafeIDs)},
	{name: "the client's own id", tests: by(TestDeleteOfTheOwnToken)},
	{name: "unusual names", tests: by(TestNamesOfAllKinds)},
	{name: "invalid base URLs", tests: by(TestInvalidURLs)},
	{name: "API and token endpoint on two hosts", tests: by(TestSecretsGoToTheirOwnHostOnly)},
	{name: "credentials with spaces", tests: by(TestCredentials)},
	{name: "secret with special characters", tests: by(TestTokenRequestOnTheWire)},
	{name: "nil and zero values", tests: by(TestZeroValuesFailWithoutPanic)},
	{name: "invalid patches", tests: by(TestPatchRejectsInvalidOperations)},
	{name: "create without scope or expiry", tests: by(TestCreateRejectsInvalidRequests)},
	{name: "expiry in any zone", tests: by(TestRequestIsWrittenInMillisecondsUTC)},
	{name: "transports that break the contract", tests: by(TestTransportsThatBreakTheContract)},
	{name: "the caller's http.Client", tests: by(TestHTTPClientIsCopied)},
	{name: "proxy of the environment", tests: by(TestProxyOfTheEnvironment)},
	{name: "logger that panics", tests: by(TestPanicOfALoggerLosesNoSecret)},
	// Secrets
	{name: "values printed and marshalled", tests: by(TestNoValueLeaks)},
	{name: "chains of errors", tests: by(TestNoErrorLeaks)},
	{name: "transport that panics", tests: by(TestPanicOfATransportLeaksNothing)},
}

// TestEveryKindOfFaultIsTested fails if a kind loses its tests when they are
// renamed or removed.
func TestEveryKindOfFaultIsTested(t *testing.T) {
	names := map[string]bool{}
	for _, kind := range kindsOfFaults {
		require.False(t, names[kind.name], "%q is listed twice", kind.name)
		names[kind.name] = true
		require.NotZero(t, len(kind.tests)+len(kind.matrix)+len(kind.outcomes), kind.name)
		for _, name := range kind.matrix {
			require.True(t, slices.ContainsFunc(matrixRows, func(row matrixRow) bool { return row.name == name }), name)
		}
		for _, name := range kind.outcomes {
			require.Contains(t, createOutcomes, name)
		}
	}
}
