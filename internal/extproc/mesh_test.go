package extproc

import (
	"context"
	"net"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/structpb"
)

// Who calls is taken from an Envoy at the other end of the Unix socket, and its certificate from one alone that says to
// verify it.
func TestCaller(t *testing.T) {
	const id, other, digest = "spiffe://prod.test/ns/chat/sa/web", "spiffe://prod.test/ns/chat/sa/crm", "ab12"
	unix, tcp := net.Addr(&net.UnixAddr{Name: "@", Net: "unix"}), net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	shown := map[string]any{
		"connection.mtls": true, "connection.uri_san_peer_certificate": id, "connection.sha256_peer_certificate_digest": digest,
	}
	plain := map[string]any{"connection.mtls": false, "source.address": "127.0.0.1:1"}
	vouched, named := grpcmetadata.Pairs(metadataClients, clientsVerified), grpcmetadata.Pairs(metadataWorkload, id)
	for name, c := range map[string]struct {
		from                  net.Addr
		says                  grpcmetadata.MD
		attributes            map[string]any
		workload, certificate string
	}{
		"a verified certificate":                     {unix, vouched, shown, id, digest},
		"one that nobody verified":                   {unix, nil, shown, "", ""},
		"one said to be otherwise":                   {unix, grpcmetadata.Pairs(metadataClients, "unverified"), shown, "", ""},
		"said twice":                                 {unix, grpcmetadata.Pairs(metadataClients, clientsVerified, metadataClients, clientsVerified), shown, "", ""},
		"none though they are verified":              {unix, vouched, plain, "", ""},
		"no attributes though verified":              {unix, vouched, nil, "", ""},
		"an id without mTLS":                         {unix, vouched, map[string]any{"connection.uri_san_peer_certificate": id}, "", ""},
		"mTLS as a text":                             {unix, vouched, map[string]any{"connection.mtls": "true", "connection.uri_san_peer_certificate": id}, "", ""},
		"a certificate without an id":                {unix, vouched, map[string]any{"connection.mtls": true, "connection.sha256_peer_certificate_digest": digest}, "", digest},
		"over TCP":                                   {tcp, vouched, shown, "", ""},
		"over nobody knows what":                     {nil, vouched, shown, "", ""},
		"a sidecar's workload":                       {unix, named, plain, id, ""},
		"a sidecar's workload over TCP":              {tcp, named, plain, "", ""},
		"a sidecar's workload twice":                 {unix, grpcmetadata.Pairs(metadataWorkload, id, metadataWorkload, other), plain, id + ", " + other, ""},
		"a sidecar's workload and the certificate's": {unix, grpcmetadata.Join(named, vouched), shown, id + ", " + id, digest},
	} {
		ctx := grpcmetadata.NewIncomingContext(context.Background(), c.says)
		if c.from != nil {
			ctx = peer.NewContext(ctx, &peer.Peer{Addr: c.from})
		}
		m := &extprocv3.ProcessingRequest{}
		if c.attributes != nil {
			fields, err := structpb.NewStruct(c.attributes)
			if err != nil {
				t.Fatal(err)
			}
			m.Attributes = map[string]*structpb.Struct{attributesKey: fields}
		}
		if workload, certificate := caller(ctx, m); workload != c.workload || certificate != c.certificate {
			t.Errorf("%s: %q with %q, want %q with %q", name, workload, certificate, c.workload, c.certificate)
		}
	}
}

func TestCredentialsInAQuery(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/models": "", "/v1/models?": "", "/v1/models?limit=1&after=x": "", "/v1/models?q=api_key": "", "/v1/models?my_api_key=x": "",
		"/v1/models?api_key=x": "x", "/v1/models?a=b&API-Key=x": "x", "/v1/models?apikey=x;access_token=y": "x y",
		"/v1/models?%61pi_key=x": "x", "/v1/models?api_key": "", "/v1/models?%zz=1&api_key=x": "x",
	} {
		got := queryCredentials(path)
		if strings.Join(got, " ") != want || strings.Contains(path, "?api_key") && len(got) != 1 {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
