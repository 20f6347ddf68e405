// Package origin lets this module's packages ask an error who sent the response.
package origin

import "errors"

// ErrAPI is matched by a sailpoint.Error whose response has the form of the API's own errors. A response of a proxy or
// a gateway doesn't have it.
var ErrAPI = errors.New("sailpoint: the API itself responded")
