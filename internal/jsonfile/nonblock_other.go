//go:build !unix

package jsonfile

const nonblock = 0
