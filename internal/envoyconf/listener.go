package envoyconf

import (
	"net/netip"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	injectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	providerCluster = "provider"
	sidecarCluster  = "plumbline"
	keySecret       = "provider_key"
	// metadataNamespace holds what Plumbline says about an exchange for the access log.
	metadataNamespace = "plumbline"

	// connectionBuffer is how much of one connection Envoy holds before it stops reading. The request body that is held
	// for Plumbline has its own limit, which counts only where it is not below this one.
	connectionBuffer = 1 << 20
	// headersTimeout and requestTimeout end callers that send too slowly. Answers have no limit but silence.
	headersTimeout = 10 * time.Second
	requestTimeout = 2 * time.Minute
	connectionIdle = time.Hour
	// connectionLife is for how long a caller's certificate may be taken for good that ends meanwhile.
	connectionLife = time.Hour
	// handshakeTimeout ends callers that begin TLS and go no further.
	handshakeTimeout = 10 * time.Second
	headerKB         = 60
)

// requestAttributes come with the first message of an exchange, responseAttributes with the first of its answer.
var (
	requestAttributes = []string{
		"connection.uri_san_peer_certificate", "connection.mtls", "connection.sha256_peer_certificate_digest",
		"source.address",
	}
	responseAttributes = []string{"response.code_details"}
)

func newListener(o Options, listen netip.AddrPort, up upstream) (*listenerv3.Listener, error) {
	manager, err := newManager(o, up)
	if err != nil {
		return nil, err
	}
	config, err := anypb.New(manager)
	if err != nil {
		return nil, err
	}
	chain := &listenerv3.FilterChain{Filters: []*listenerv3.Filter{{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: config},
	}}}
	if o.Clients != (Clients{}) {
		if chain.TransportSocket, err = newClientTLS(o.Clients); err != nil {
			return nil, err
		}
		chain.TransportSocketConnectTimeout = durationpb.New(handshakeTimeout)
	}
	return &listenerv3.Listener{
		Name:    ListenerName,
		Address: socketAddress(listen.Addr().String(), listen.Port()),
		// With it a second Envoy would share the port in silence.
		EnableReusePort:               wrapperspb.Bool(false),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(uint32(min(connectionBuffer, o.BodyLimit))),
		FilterChains:                  []*listenerv3.FilterChain{chain},
	}, nil
}

func newManager(o Options, up upstream) (*hcmv3.HttpConnectionManager, error) {
	filters, err := newFilters(o)
	if err != nil {
		return nil, err
	}
	early, err := earlyMutation()
	if err != nil {
		return nil, err
	}
	replies, err := newLocalReplies()
	if err != nil {
		return nil, err
	}
	m := &hcmv3.HttpConnectionManager{
		StatPrefix:                    "plumbline",
		UseRemoteAddress:              wrapperspb.Bool(true),
		InternalAddressConfig:         noInternalAddresses(),
		EarlyHeaderMutationExtensions: []*corev3.TypedExtensionConfig{early},
		ForwardClientCertDetails:      hcmv3.HttpConnectionManager_SANITIZE,
		NormalizePath:                 wrapperspb.Bool(true),
		MergeSlashes:                  true,
		PathWithEscapedSlashesAction:  hcmv3.HttpConnectionManager_REJECT_REQUEST,
		ServerHeaderTransformation:    hcmv3.HttpConnectionManager_PASS_THROUGH,
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			IdleTimeout:                  durationpb.New(connectionIdle),
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_DROP_HEADER,
		},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(1024),
			InitialStreamWindowSize:     wrapperspb.UInt32(1 << 18),
			InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
		},
		MaxRequestHeadersKb:   wrapperspb.UInt32(headerKB),
		RequestHeadersTimeout: durationpb.New(headersTimeout),
		RequestTimeout:        durationpb.New(requestTimeout),
		StreamIdleTimeout:     durationpb.New(o.IdleTimeout),
		RouteSpecifier:        &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: newRoutes(o, up)},
		HttpFilters:           filters,
		LocalReplyConfig:      replies,
	}
	if o.Clients != (Clients{}) {
		// A certificate is verified when a connection begins, and not again.
		m.CommonHttpProtocolOptions.MaxConnectionDuration = durationpb.New(connectionLife)
	}
	if o.AccessLog != "none" {
		log, err := newAccessLog(o.AccessLog)
		if err != nil {
			return nil, err
		}
		m.AccessLog = append(m.AccessLog, log)
	}
	return m, nil
}

// noInternalAddresses has Envoy trust no caller's x-envoy- headers, wherever it calls from. An empty list would not do:
// Envoy takes it for the private networks and loopback. No packet comes from the broadcast address.
func noInternalAddresses() *hcmv3.HttpConnectionManager_InternalAddressConfig {
	return &hcmv3.HttpConnectionManager_InternalAddressConfig{CidrRanges: []*corev3.CidrRange{{
		AddressPrefix: "255.255.255.255", PrefixLen: wrapperspb.UInt32(32),
	}}}
}

// earlyMutation removes, before anything else reads them, headers with which a caller could pass for somebody else or
// steer Envoy.
func earlyMutation() (*corev3.TypedExtensionConfig, error) {
	m := &earlyv3.HeaderMutation{}
	for _, name := range []string{"x-forwarded-client-cert", "openai-organization", "openai-project"} {
		m.Mutations = append(m.Mutations, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}})
	}
	for _, prefix := range []string{"x-plumbline-", "x-user", "x-envoy-"} {
		m.Mutations = append(m.Mutations, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_RemoveOnMatch_{
			RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{KeyMatcher: &matcherv3.StringMatcher{
				MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: prefix}, IgnoreCase: true,
			}},
		}})
	}
	return extension("envoy.http.early_header_mutation.header_mutation", m)
}

func newRoutes(o Options, up upstream) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{
		Name: "plumbline",
		VirtualHosts: []*routev3.VirtualHost{{
			Name:                   "plumbline",
			Domains:                []string{"*"},
			RequestBodyBufferLimit: wrapperspb.UInt64(uint64(o.BodyLimit)),
			Routes: []*routev3.Route{{
				Name:  "provider",
				Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{
					ClusterSpecifier:     &routev3.RouteAction_Cluster{Cluster: providerCluster},
					HostRewriteSpecifier: &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: up.authority()},
					Timeout:              durationpb.New(0),
					IdleTimeout:          durationpb.New(o.IdleTimeout),
				}},
			}},
			// What Envoy adds about the caller is not the provider's business.
			RequestHeadersToRemove: []string{"x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy-internal", "x-envoy-external-address"},
		}},
	}
}

func newFilters(o Options) ([]*hcmv3.HttpFilter, error) {
	extproc, err := httpFilter("envoy.filters.http.ext_proc", &extprocv3.ExternalProcessor{
		GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName:      sidecarCluster,
				SkipEnvoyHeaders: true,
			}},
			InitialMetadata: o.initialMetadata(),
		},
		ProcessingMode: &extprocv3.ProcessingMode{
			RequestHeaderMode:   extprocv3.ProcessingMode_SEND,
			RequestBodyMode:     extprocv3.ProcessingMode_BUFFERED,
			RequestTrailerMode:  extprocv3.ProcessingMode_SEND,
			ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
			ResponseBodyMode:    extprocv3.ProcessingMode_STREAMED,
			ResponseTrailerMode: extprocv3.ProcessingMode_SEND,
		},
		FailureModeAllow:  false,
		StatusOnError:     &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
		MessageTimeout:    durationpb.New(o.MessageTimeout),
		RouteCacheAction:  extprocv3.ExternalProcessor_RETAIN,
		AllowModeOverride: false,
		MetadataOptions: &extprocv3.MetadataOptions{ReceivingNamespaces: &extprocv3.MetadataOptions_MetadataNamespaces{
			Untyped: []string{metadataNamespace},
		}},
		RequestAttributes:  requestAttributes,
		ResponseAttributes: responseAttributes,
		MutationRules: &mutationv3.HeaderMutationRules{
			AllowAllRouting: wrapperspb.Bool(false),
			AllowEnvoy:      wrapperspb.Bool(false),
			DisallowSystem:  wrapperspb.Bool(false),
			DisallowIsError: wrapperspb.Bool(true),
		},
	})
	if err != nil {
		return nil, err
	}
	filters := []*hcmv3.HttpFilter{extproc}
	if o.ProviderKeyFile != "" {
		injector, err := newKeyInjector()
		if err != nil {
			return nil, err
		}
		filters = append(filters, injector)
	}
	router, err := httpFilter("envoy.filters.http.router", &routerv3.Router{SuppressEnvoyHeaders: true})
	if err != nil {
		return nil, err
	}
	return append(filters, router), nil
}

// newKeyInjector puts the provider's key in place of whatever credential is left, after Plumbline allowed the request.
func newKeyInjector() (*hcmv3.HttpFilter, error) {
	credential, err := extension("envoy.http.injected_credentials.generic", &genericv3.Generic{
		Credential:        &tlsv3.SdsSecretConfig{Name: keySecret},
		Header:            "authorization",
		HeaderValuePrefix: "Bearer ",
	})
	if err != nil {
		return nil, err
	}
	return httpFilter("envoy.filters.http.credential_injector", &injectorv3.CredentialInjector{
		Overwrite: true, Credential: credential,
	})
}

func providerKey(file string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: keySecret, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
		Secret: &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: file}},
	}}}
}

func httpFilter(name string, config proto.Message) (*hcmv3.HttpFilter, error) {
	typed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed}}, nil
}

func extension(name string, config proto.Message) (*corev3.TypedExtensionConfig, error) {
	typed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: typed}, nil
}
