package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// Certificates outlive any sandbox by far; a clock that is set back a little
// must not make them invalid.
const (
	lifetime  = 365 * 24 * time.Hour
	clockSkew = time.Hour
)

// authority signs with a key that is never written: after the command nobody
// can make another certificate.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	dir         string
}

// newCertificatesCommand writes ca.crt, the pairs apiserver, node and
// apiserver-node-client (.crt, .key), and sa.key for service account tokens.
func newCertificatesCommand() *cobra.Command {
	var dir string
	var addresses []net.IP
	command := &cobra.Command{
		Use:  "certificates",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return writeCertificates(dir, addresses) },
	}
	command.Flags().StringVar(&dir, "dir", "certificates", "folder to write to")
	command.Flags().IPSliceVar(&addresses, "address", nil,
		"where API server and node are reached beside loopback; may be repeated")
	return command
}

func writeCertificates(dir string, addresses []net.IP) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(dir)
	if err != nil {
		return err
	}
	addresses = append(addresses, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	err = ca.issue("apiserver", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	err = ca.issue("node", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "simulated-node"},
		IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	err = ca.issue("apiserver-node-client", &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver-node-client"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	_, err = ca.newKey("sa")
	return err
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "sandbox"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	ca := &authority{certificate: template, key: key, dir: dir}
	der, err := ca.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	if ca.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return ca, ca.write("ca.crt", "CERTIFICATE", der, 0o644)
}

// issue writes name.crt and name.key.
func (ca *authority) issue(name string, template *x509.Certificate) error {
	key, err := ca.newKey(name)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := ca.sign(template, key.Public())
	if err != nil {
		return err
	}
	return ca.write(name+".crt", "CERTIFICATE", der, 0o644)
}

func (ca *authority) newKey(name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, ca.write(name+".key", "EC PRIVATE KEY", der, 0o600)
}

func (ca *authority) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-clockSkew)
	template.NotAfter = time.Now().Add(lifetime)
	return x509.CreateCertificate(rand.Reader, template, ca.certificate, public, ca.key)
}

func (ca *authority) write(file, kind string, der []byte, mode os.FileMode) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(ca.dir, file), data, mode)
}
