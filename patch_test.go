package sailpoint_test

import (
	stdjson "encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestPatchOperationOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		op   sailpoint.PatchOperation
		want string
	}{
		{sailpoint.PatchOperation{Op: sailpoint.OpReplace, Path: "/name", Value: "n"}, `{"op":"replace","path":"/name","value":"n"}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpReplace, Path: "/expirationDate"}, `{"op":"replace","path":"/expirationDate","value":null}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpAdd, Path: "/scope/-", Value: "a<b"}, `{"op":"add","path":"/scope/-","value":"a<b"}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpTest, Path: "/scope", Value: []string(nil)}, `{"op":"test","path":"/scope","value":null}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpRemove, Path: "/expirationDate", Value: 1}, `{"op":"remove","path":"/expirationDate"}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpMove, Path: "/a", From: "/b", Value: 1}, `{"op":"move","path":"/a","from":"/b"}`},
		{sailpoint.PatchOperation{Op: sailpoint.OpCopy, Path: "/a", From: "/b"}, `{"op":"copy","path":"/a","from":"/b"}`},
	} {
		got, err := json.Marshal(tt.op)
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(got))

		var back sailpoint.PatchOperation
		require.NoError(t, stdjson.Unmarshal(got, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(again))
	}
}

func TestPatchIsABuilder(t *testing.T) {
	var patch sailpoint.PersonalAccessTokenPatch // the zero value is ready to use
	patch.ReplaceName("a")
	if true {
		patch.ReplaceScope("x")
	}
	chained := sailpoint.NewPersonalAccessTokenPatch().ReplaceName("a").ReplaceScope("x")
	require.Equal(t, *chained, patch)

	scope := []string{"x"}
	patch = sailpoint.PersonalAccessTokenPatch{}
	patch.ReplaceScope(scope...)
	scope[0] = "changed"
	require.Equal(t, *sailpoint.NewPersonalAccessTokenPatch().ReplaceScope("x"), patch)
}

// TestPatchRejectsInvalidOperations covers operations that can't be valid. It
// also covers those that implicitly grant every right or remove the expiry.
func TestPatchRejectsInvalidOperations(t *testing.T) {
	type op = sailpoint.PatchOperation
	ack := op{Op: sailpoint.OpReplace, Path: "/userAwareTokenNeverExpires", Value: true}
	many := make([]op, 10_000)
	for i := range many {
		many[i] = op{Op: sailpoint.OpTest, Path: "/name", Value: "n"}
	}
	for name, tt := range map[string]struct {
		ops  []op
		want string // empty if valid
	}{
		"empty":             {nil, "empty"},
		"10,000 operations": {many, "use at most 100"},
		"unknown op":        {[]op{{Op: "set", Path: "/name", Value: "n"}}, "not one of RFC 6902"},
		"no op":             {[]op{{Path: "/name", Value: "n"}}, "not one of RFC 6902"},
		"upper case op":     {[]op{{Op: "Replace", Path: "/name", Value: "n"}}, "not one of RFC 6902"},

		"whole document":         {[]op{{Op: sailpoint.OpReplace, Path: "", Value: "n"}}, `"" can't be patched`},
		"root":                   {[]op{{Op: sailpoint.OpReplace, Path: "/", Value: "n"}}, `"/" can't be patched`},
		"no slash":               {[]op{{Op: sailpoint.OpReplace, Path: "name", Value: "n"}}, `can't be patched`},
		"secret":                 {[]op{{Op: sailpoint.OpReplace, Path: "/secret", Value: "n"}}, `"/secret" can't be patched`},
		"owner":                  {[]op{{Op: sailpoint.OpReplace, Path: "/owner", Value: "n"}}, `"/owner" can't be patched`},
		"validity":               {[]op{{Op: sailpoint.OpReplace, Path: "/accessTokenValiditySeconds", Value: 15}}, "can't be patched"},
		"below the name":         {[]op{{Op: sailpoint.OpReplace, Path: "/name/..", Value: "n"}}, "nothing below"},
		"from the secret":        {[]op{{Op: sailpoint.OpCopy, Path: "/name", From: "/secret"}}, `"/secret" can't be patched`},
		"move without from":      {[]op{{Op: sailpoint.OpMove, Path: "/name"}}, `"" can't be patched`},
		"value that is NaN":      {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: math.NaN()}}, "can't be sent"},
		"value that is a chan":   {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: make(chan int)}}, "can't be sent"},
		"value that is a secret": {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: sailpoint.NewSecret("s")}}, "can't be sent"},

		"path not UTF-8": {[]op{{Op: sailpoint.OpAdd, Path: "/scope/\xff", Value: "a"}}, "can't be sent"},

		"name missing":    {[]op{{Op: sailpoint.OpReplace, Path: "/name"}}, "needs a name"},
		"name empty":      {[]op{{Op: sailpoint.OpAdd, Path: "/name", Value: ""}}, "needs a name"},
		"name blank":      {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: " "}}, "needs a name"},
		"name a number":   {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: 1}}, "needs a name"},
		"name removed":    {[]op{{Op: sailpoint.OpRemove, Path: "/name"}}, "needs a name"},
		"name moved":      {[]op{{Op: sailpoint.OpMove, Path: "/scope/-", From: "/name"}}, "needs a name"},
		"name test":       {[]op{{Op: sailpoint.OpTest, Path: "/name", Value: ""}}, ""},
		"two names":       {[]op{{Op: sailpoint.OpReplace, Path: "/name", Value: "a"}, {Op: sailpoint.OpReplace, Path: "/name", Value: "b"}}, "an earlier operation"},
		"add and replace": {[]op{{Op: sailpoint.OpAdd, Path: "/name", Value: "a"}, {Op: sailpoint.OpReplace, Path: "/name", Value: "b"}}, "an earlier operation"},

		"scope missing":               {[]op{{Op: sailpoint.OpReplace, Path: "/scope"}}, "ScopeAll"},
		"scope null":                  {[]op{{Op: sailpoint.OpAdd, Path: "/scope", Value: []string(nil)}}, "ScopeAll"},
		"scope empty":                 {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: []any{}}}, "ScopeAll"},
		"scope of nothing":            {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: []string{""}}}, "is not a scope"},
		"scope a string":              {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: "a"}}, "list of strings"},
		"scope removed":               {[]op{{Op: sailpoint.OpRemove, Path: "/scope"}}, "every right"},
		"one scope removed":           {[]op{{Op: sailpoint.OpRemove, Path: "/scope/0"}}, "every right"},
		"scope moved":                 {[]op{{Op: sailpoint.OpMove, Path: "/name", From: "/scope/0"}}, "every right"},
		"scope copied over":           {[]op{{Op: sailpoint.OpCopy, Path: "/scope", From: "/name"}}, "every right"},
		"one scope blank":             {[]op{{Op: sailpoint.OpAdd, Path: "/scope/-", Value: ""}}, "is not a scope"},
		"one scope null":              {[]op{{Op: sailpoint.OpReplace, Path: "/scope/0"}}, "is not a scope"},
		"one scope a list":            {[]op{{Op: sailpoint.OpAdd, Path: "/scope/-", Value: []string{"a"}}}, "must be a string"},
		"two scopes in one":           {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: []string{"a b"}}}, `"a b" is not a scope`},
		"a quoted scope":              {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: []string{"a", `"b"`}}}, "is not a scope"},
		"a scope's newline":           {[]op{{Op: sailpoint.OpAdd, Path: "/scope/0", Value: "a\n"}}, "is not a scope"},
		"a scope's letters":           {[]op{{Op: sailpoint.OpAdd, Path: "/scope/0", Value: "é"}}, "is not a scope"},
		"tested for a space":          {[]op{{Op: sailpoint.OpTest, Path: "/scope/0", Value: "a b"}}, ""},
		"one scope added":             {[]op{{Op: sailpoint.OpAdd, Path: "/scope/-", Value: "a"}, {Op: sailpoint.OpAdd, Path: "/scope/-", Value: "b"}}, ""},
		"one scope replaced":          {[]op{{Op: sailpoint.OpReplace, Path: "/scope/0", Value: "a"}}, ""},
		"every right, set explicitly": {[]op{{Op: sailpoint.OpReplace, Path: "/scope", Value: []string{sailpoint.ScopeAll}}}, ""},

		"expiry removed":               {[]op{{Op: sailpoint.OpRemove, Path: "/expirationDate"}}, "NeverExpire"},
		"expiry null":                  {[]op{{Op: sailpoint.OpReplace, Path: "/expirationDate"}}, "NeverExpire"},
		"expiry null, acknowledged":    {[]op{{Op: sailpoint.OpReplace, Path: "/expirationDate"}, ack}, ""},
		"expiry removed, acknowledged": {[]op{ack, {Op: sailpoint.OpRemove, Path: "/expirationDate"}}, ""},
		"acknowledged with false":      {[]op{{Op: sailpoint.OpReplace, Path: "/userAwareTokenNeverExpires", Value: false}, {Op: sailpoint.OpReplace, Path: "/expirationDate"}}, "NeverExpire"},
		"acknowledged only":            {[]op{ack}, ""},
		"expiry in the past":           {[]op{{Op: sailpoint.OpReplace, Path: "/expirationDate", Value: "2017-07-11T18:45:37.098Z"}}, "in the past"},
		"expiry of time.Time":          {[]op{{Op: sailpoint.OpReplace, Path: "/expirationDate", Value: time.Now().AddDate(1, 0, 0)}}, ""},
		"expiry no date":               {[]op{{Op: sailpoint.OpReplace, Path: "/expirationDate", Value: "tomorrow"}}, "RFC 3339"},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(ok(aToken))
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = sailpoint.V2025 })
			_, err := client.PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().With(tt.ops...))
			if tt.want == "" {
				require.NoError(t, err)
				require.Len(t, n.calls, 1)
				return
			}
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, tt.want)
			n.requireCounts(t, 0, 0)
		})
	}
}

func TestPatchBuilderRejectsInvalidValues(t *testing.T) {
	for name, tt := range map[string]struct {
		patch *sailpoint.PersonalAccessTokenPatch
		want  string
	}{
		"nil":                       {nil, "empty"},
		"empty scope":               {sailpoint.NewPersonalAccessTokenPatch().ReplaceScope(), "ScopeAll"},
		"no name":                   {sailpoint.NewPersonalAccessTokenPatch().ReplaceName(""), "needs a name"},
		"zero expiry":               {sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(time.Time{}), "in the past"},
		"never, and then an expiry": {sailpoint.NewPersonalAccessTokenPatch().NeverExpire().ReplaceExpirationDate(time.Now().Add(time.Hour)), "an earlier operation"},
	} {
		t.Run(name, func(t *testing.T) {
			n := scripted(ok(aToken))
			client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = sailpoint.V1 })
			_, err := client.PersonalAccessTokens.Patch(t.Context(), "id", tt.patch)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, tt.want)
			require.Empty(t, n.calls)
		})
	}
}

func TestExpiryCantBePatchedBeforeV2025(t *testing.T) {
	for _, version := range []sailpoint.APIVersion{sailpoint.V3, sailpoint.Beta, sailpoint.V2024} {
		n := scripted(ok(aToken))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = version })
		for _, patch := range []*sailpoint.PersonalAccessTokenPatch{
			sailpoint.NewPersonalAccessTokenPatch().NeverExpire(),
			sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(time.Now().Add(time.Hour)),
		} {
			_, err := client.PersonalAccessTokens.Patch(t.Context(), "id", patch)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, "V2025 and later")
		}
		require.Empty(t, n.calls)
	}
}

// FuzzPatch shows that valid operations are sent as one JSON array. A patch
// that replaces has the same effect twice as once.
func FuzzPatch(f *testing.F) {
	f.Add("replace", "/name", "", `"n"`)
	f.Add("remove", "/scope", "", "null")
	f.Add("copy", "/scope", "/name", "null")
	f.Add("add", "/scope/-", "", `"s"`)
	f.Add("replace", "/expirationDate", "", `"2099-01-01T00:00:00Z"`)
	f.Fuzz(func(t *testing.T, op, path, from, value string) {
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			return
		}
		n := scripted(ok(aToken))
		client := n.client(t, func(cfg *sailpoint.Config) { cfg.APIVersion = sailpoint.V1 })
		_, err := client.PersonalAccessTokens.Patch(t.Context(), "id", sailpoint.NewPersonalAccessTokenPatch().With(
			sailpoint.PatchOperation{Op: sailpoint.PatchOp(op), Path: path, From: from, Value: v}))
		if err != nil {
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.Empty(t, n.calls)
			return
		}
		_, body, _ := strings.Cut(n.calls[0].onTheWire(), "\n\n")
		var ops []map[string]any
		require.NoError(t, json.Unmarshal([]byte(body), &ops))
		require.Len(t, ops, 1)
		require.Equal(t, op, ops[0]["op"])
		if path == "/scope" && op != "test" {
			require.NotEmpty(t, ops[0]["value"], "an empty scope grants every right")
		}
	})
}
