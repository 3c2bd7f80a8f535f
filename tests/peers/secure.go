package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
)

// tlsConfig is what --ca, --cert and --key say; nil without them, and then it is the transport's own affair what secure
// means: servers make a certificate for themselves, and clients check none up to v4.9.
func tlsConfig(o options) *tls.Config {
	if o.ca == "" && o.cert == "" {
		return nil
	}
	config := &tls.Config{}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			fail(err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			fail(errors.New("no certificate in " + o.ca))
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			fail(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}
