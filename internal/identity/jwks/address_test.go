package jwks

import (
	"net/netip"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "20.190.128.1": true, "2606:4700::1111": true, "2a00:1450:4001::8a": true, "::ffff:8.8.8.8": true,

		"127.0.0.1": false, "127.9.9.9": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "0.0.0.0": false, "0.1.2.3": false, "100.64.0.1": false, "198.18.0.1": false, "224.0.0.1": false,
		"240.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false, "203.0.113.9": false, "192.0.0.8": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12:3456::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"::ffff:100.64.0.1": false, "::ffff:198.18.0.1": false, "2001:db8::1%eth0": false, "fec0::1%eth0": false,
		"2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "fec0::1": false, "fd00:ec2::254": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	for _, address := range []string{"", "8.8.8.8", "host:443", "[::1]:443"} {
		if publicOnly("tcp", address, nil) == nil {
			t.Errorf("%q is dialled", address)
		}
	}
	if err := publicOnly("tcp6", "[2606:4700::1111]:443", nil); err != nil {
		t.Error(err)
	}
}
