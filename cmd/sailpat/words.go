package main

import (
	"regexp"
	"strings"

	"github.com/sailpoint-go/sailpoint/internal/redact"
)

// invalid precedes the text about an invalid argument.
const invalid = "sailpoint: invalid argument: "

// goWords are texts with names of the Go packages in their errors, each followed
// by the same in the flags and settings of this command. A name alone may be that
// of a token, so each text includes what precedes or follows the name.
var goWords = []string{
	invalid + "BaseURL ", "the base URL ",
	invalid + "ClientID ", "the client id ",
	invalid + "ClientSecret ", "the client secret ",
	invalid + "Address ", "VAULT_ADDR ",
	invalid + `Name "`, `--name "`,
	invalid + "Scope: ", "--scope: ",
	invalid + "AccessTokenValiditySeconds ", "--access-token-validity-seconds ",
	invalid + "ExpirationDate", "--expiration-date",
	invalid + "UserAwareTokenNeverExpires: ", "--user-aware-token-never-expires: ",
	invalid + "NeverExpires ", "--never-expires ",
	invalid + "Lifetime ", "--lifetime ",
	invalid + "Grace ", "--grace ",
	invalid + "no store: use a FileStore or your own Store", "the secret needs a place: add --store",
	invalid, "", "lifecycle: issue: ", "", "lifecycle: rotate: ", "", "lifecycle: ", "", "sailpoint: ", "",
	"and set APIVersion", "and use --api-version",
	", or set TokenURL", "", "or 0 for the API's default", "or left out for the API's default",
	"put credentials in ClientID and ClientSecret", "put credentials in SAIL_CLIENT_ID and SAIL_CLIENT_SECRET",
	"set UserAwareTokenNeverExpires for", "set --user-aware-token-never-expires for",
	"use V2025 or later", "use --api-version v2025 or later",
	"can be patched in V2025 and later: set Config.APIVersion", "can be changed in v2025 and later: use --api-version",
	"set Lifetime or NeverExpires for", "set --lifetime or --never-expires for",
	"give the client credentials that the tenant accepts and run it again",
	"set SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET to the credential of a working token of the same owner and " +
		`run "sailpat issue", or put the id and secret of a working token into the store`,
	"use All, or set Config.MaxListBytes", "select fewer with --owner-id or --filters",
}

var inFlags = strings.NewReplacer(goWords...)

// ofPatch precedes what is wrong with a change of patch.
var ofPatch = regexp.MustCompile(`operation \d+ of the patch \("replace" of "/\w+"\): `)

// errorText returns the text of an error on one line, in the words of this
// command.
func errorText(err error) string {
	return inFlags.Replace(ofPatch.ReplaceAllString(redact.Joined(err), ""))
}
