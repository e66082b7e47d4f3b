package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// fetch is a program that knows nothing of thinlink: it gets the URL of its
// argument, trusting $THINLINK_CA, or for tls:// shakes hands with
// $THINLINK_CERT and prints the server's name.
func fetch() {
	if err := fetchURL(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func fetchURL(url string) error {
	cfg := &tls.Config{}
	if ca := os.Getenv("THINLINK_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return err
		}
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM(pem)
		cert, err := tls.LoadX509KeyPair(os.Getenv("THINLINK_CERT"), os.Getenv("THINLINK_KEY"))
		if err != nil {
			return err
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	if address, ok := strings.CutPrefix(url, "tls://"); ok {
		c, err := tls.Dial("tcp", address, cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		fmt.Println(c.ConnectionState().PeerCertificates[0].Subject.CommonName)
		return nil
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
