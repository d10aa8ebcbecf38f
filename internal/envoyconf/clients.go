package envoyconf

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What Plumbline is told of the callers of a listener, as gRPC metadata; see internal/extproc.
const (
	metadataClients  = "x-plumbline-clients"
	clientsVerified  = "verified"
	metadataWorkload = "x-plumbline-workload"
)

// initialMetadata says to Plumbline what is sure of every caller: that its certificate was verified, or which program it
// is. A listener that makes neither sure says nothing.
func (o Options) initialMetadata() []*corev3.HeaderValue {
	switch {
	case o.Clients != (Clients{}):
		return []*corev3.HeaderValue{{Key: metadataClients, Value: clientsVerified}}
	case o.Workload != "":
		return []*corev3.HeaderValue{{Key: metadataWorkload, Value: o.Workload}}
	}
	return nil
}

// newClientTLS demands a certificate of each caller and verifies it by authority and by trust domain. Demanding alone would
// take any, and verifying alone would let those pass who show none.
func newClientTLS(c Clients) (*corev3.TransportSocket, error) {
	config, err := anypb.New(&tlsv3.DownstreamTlsContext{
		RequireClientCertificate: wrapperspb.Bool(true),
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
			AlpnProtocols: []string{"h2", "http/1.1"},
			TlsCertificates: []*tlsv3.TlsCertificate{{
				CertificateChain: file(c.Certificate), PrivateKey: file(c.Key),
			}},
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
				TrustedCa: file(c.Authorities),
				MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
					SanType: tlsv3.SubjectAltNameMatcher_URI,
					Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "spiffe://" + c.TrustDomain + "/"}},
				}},
			}},
		},
	})
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, nil
}

func file(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}
