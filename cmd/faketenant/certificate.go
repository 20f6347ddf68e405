package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// certificateLifetime is longer than any test.
const certificateLifetime = 365 * 24 * time.Hour

// newCertificate returns a TLS configuration for a server at addr, and the
// certificate of the authority (CA) that clients must trust. The CA's key is
// forgotten, so nobody can make another certificate that those clients trust.
func newCertificate(requested string, addr *net.TCPAddr, now time.Time) (config *tls.Config, caPEM []byte, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), // clients tell the CAs of two runs apart by it
		Subject:      pkix.Name{CommonName: "faketenant CA of " + now.UTC().Format(time.DateTime)},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(certificateLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	// The parsed CA has the key id that the server's certificate must name.
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, serverCertificate(requested, addr, parsed), parsed, key.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, caDER}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}

// serverCertificate names every host by which a client may reach the server.
func serverCertificate(requested string, addr *net.TCPAddr, ca *x509.Certificate) *x509.Certificate {
	certificate := &x509.Certificate{
		SerialNumber: new(big.Int).Add(ca.SerialNumber, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: "faketenant"},
		NotBefore:    ca.NotBefore, NotAfter: ca.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if !addr.IP.IsLoopback() && !addr.IP.IsUnspecified() {
		certificate.IPAddresses = append(certificate.IPAddresses, addr.IP)
	}
	if host, _, err := net.SplitHostPort(requested); err == nil && host != "" && host != "localhost" && net.ParseIP(host) == nil {
		certificate.DNSNames = append(certificate.DNSNames, host)
	}
	return certificate
}
