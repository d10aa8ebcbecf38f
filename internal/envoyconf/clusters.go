package envoyconf

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	downstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	connectTimeout = 5 * time.Second
	// mostRequests is how many exchanges may be open at once: each event stream holds one in both clusters, and Envoy's
	// own 1,024 are soon used up.
	mostRequests = 100_000
	// mostConnections bounds the callers' connections and those to the provider.
	mostConnections = 50_000
	httpOptions     = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

func newProviderCluster(o Options, up upstream) (*clusterv3.Cluster, error) {
	c := newCluster(providerCluster, socketAddress(up.host, up.port))
	if !up.ip {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		c.DnsLookupFamily = clusterv3.Cluster_ALL
	}
	options := &upstreamhttpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			// Below the idle time of the load balancers in front of providers: a connection that they close just when
			// a request is sent fails that request, and nothing here retries.
			IdleTimeout: durationpb.New(50 * time.Second),
		},
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
					HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
				},
			},
		},
	}
	if up.tls {
		options.UpstreamProtocolOptions = &upstreamhttpv3.HttpProtocolOptions_AutoConfig{ // what ALPN agrees on
			AutoConfig: &upstreamhttpv3.HttpProtocolOptions_AutoHttpConfig{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					ConnectionKeepalive: &corev3.KeepaliveSettings{
						Interval: durationpb.New(30 * time.Second),
						Timeout:  durationpb.New(10 * time.Second),
					},
				},
			}}
		transport, err := newTLS(o, up)
		if err != nil {
			return nil, err
		}
		c.TransportSocket = transport
	}
	return c, setHTTPOptions(c, options)
}

// newTLS verifies the provider's certificate by authority and by name: without both Envoy accepts any.
func newTLS(o Options, up upstream) (*corev3.TransportSocket, error) {
	name := &tlsv3.SubjectAltNameMatcher{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: up.host}},
	}
	if up.ip {
		name.SanType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
	}
	context := &tlsv3.UpstreamTlsContext{
		CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
			AlpnProtocols: []string{"h2", "http/1.1"},
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
				ValidationContext: &tlsv3.CertificateValidationContext{
					TrustedCa:                 &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: o.TrustedCA}},
					MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{name},
				},
			},
		},
	}
	if !up.ip {
		context.Sni = up.host // the name indication carries no addresses
	}
	config, err := anypb.New(context)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config},
	}, nil
}

func newSidecarCluster(o Options) (*clusterv3.Cluster, error) {
	address := pipe(o.Socket)
	address.GetPipe().Mode = 0 // Plumbline makes the socket and sets its mode
	c := newCluster(sidecarCluster, address)
	return c, setHTTPOptions(c, &upstreamhttpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamhttpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
						MaxConcurrentStreams: wrapperspb.UInt32(mostRequests),
					},
				},
			},
		},
	})
}

// newCluster gives a cluster of one address with room for long streams and none for retries.
func newCluster(name string, address *corev3.Address) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                durationpb.New(connectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(connectionBuffer),
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}}}},
		},
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections:     wrapperspb.UInt32(mostConnections),
			MaxPendingRequests: wrapperspb.UInt32(mostRequests),
			MaxRequests:        wrapperspb.UInt32(mostRequests),
			MaxRetries:         wrapperspb.UInt32(0),
		}}},
	}
}

func setHTTPOptions(c *clusterv3.Cluster, options *upstreamhttpv3.HttpProtocolOptions) error {
	config, err := anypb.New(options)
	if err != nil {
		return err
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: config}
	return nil
}

// newOverloadManager bounds the callers' connections: without it file descriptors run out first.
func newOverloadManager() (*overloadv3.OverloadManager, error) {
	config, err := anypb.New(&downstreamv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: mostConnections})
	if err != nil {
		return nil, err
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name:       "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: config},
	}}}, nil
}
