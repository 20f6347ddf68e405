package sailpoint_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sailpoint-go/sailpoint"
)

func TestFilters(t *testing.T) {
	at := time.Date(2023, 2, 5, 10, 59, 27, 214_999_999, time.UTC)
	assert.Equal(t, sailpoint.PersonalAccessTokenFilter("lastUsed le 2023-02-05T10:59:27.214Z"), sailpoint.LastUsedLE(at))
	assert.Equal(t, sailpoint.LastUsedLE(at), sailpoint.LastUsedLE(at.In(time.FixedZone("", -7*3600))), "UTC")
	assert.Equal(t, sailpoint.PersonalAccessTokenFilter("lastUsed le 2023-02-05T10:59:27.000Z"), sailpoint.LastUsedLE(at.Truncate(time.Second)), "milliseconds")
	assert.Equal(t, sailpoint.PersonalAccessTokenFilter("lastUsed isnull"), sailpoint.LastUsedIsNull())
}
