package redisfleet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/sailpoint-go/sailpoint"
)

const (
	aesKeyBytes  = 32
	keyNameBytes = 8
)

// sealer encrypts the fleet's bearer. Without the secret nobody can read the
// bearer, or find its key in Redis.
type sealer struct {
	aead cipher.AEAD
	key  string // in Redis
}

// newSealer derives a sealer from secret for one fleet and tenant. The key in
// Redis begins with prefix.
func newSealer(prefix string, secret sailpoint.Secret, fleet, baseURL string) (*sealer, error) {
	info := "github.com/sailpoint-go/sailpoint/redisfleet bearer 1\x00" + fleet + "\x00" + baseURL
	derived, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, info, aesKeyBytes+keyNameBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived[:aesKeyBytes])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead, prefix + hex.EncodeToString(derived[aesKeyBytes:])}, err
}

// sealedToken is the plain text of a sealed bearer.
type sealedToken struct {
	Bearer   string `json:"bearer"`
	ClientID string `json:"clientId"`
}

func (s *sealer) seal(token sailpoint.AccessToken) []byte {
	plain, _ := json.Marshal(sealedToken{token.Bearer.Reveal(), token.ClientID}) // strings never fail
	return s.aead.Seal(nil, nil, plain, []byte(s.key))                           //nolint:gosec // the AEAD makes a random nonce itself
}

// open returns a sealed bearer without its expiry, or false.
func (s *sealer) open(sealed string) (sailpoint.AccessToken, bool) {
	plain, err := s.aead.Open(nil, nil, []byte(sealed), []byte(s.key))
	var token sealedToken
	if err != nil || json.Unmarshal(plain, &token) != nil {
		return sailpoint.AccessToken{}, false
	}
	return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(token.Bearer), ClientID: token.ClientID}, true
}

// digest names a bearer without revealing it.
func digest(bearer sailpoint.Secret) string {
	if bearer.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(bearer.Reveal()))
	return hex.EncodeToString(sum[:16])
}
