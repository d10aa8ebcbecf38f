package extproc

import (
	"context"
	"strings"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// What Envoy's configuration says of the callers of a listener, as gRPC metadata of each stream (initial_metadata of the
// filter's grpc_service; see internal/envoyconf). No header of a caller gets there.
const (
	// metadataClients is clientsVerified where the listener demands a certificate and verifies it.
	metadataClients = "x-plumbline-clients"
	clientsVerified = "verified"
	// metadataWorkload is the SPIFFE id of the one program that calls through the listener, beside which Envoy stands.
	metadataWorkload = "x-plumbline-workload"
)

// caller gives the caller's SPIFFE id and the digest of the certificate that it proved to hold, empty where nobody vouches
// for them. Envoy's attributes alone do not: they hold what a certificate says also where nothing verified it. And the
// word of whoever reaches a TCP port is not Envoy's, so that all of this counts over the Unix socket only.
func caller(ctx context.Context, m *extprocv3.ProcessingRequest) (workload, certificate string) {
	if from, ok := peer.FromContext(ctx); !ok || from.Addr == nil || from.Addr.Network() != "unix" {
		return "", ""
	}
	// Several ids are joined to what is none: which of them is meant cannot be told.
	ids := grpcmetadata.ValueFromIncomingContext(ctx, metadataWorkload)
	clients := grpcmetadata.ValueFromIncomingContext(ctx, metadataClients)
	if len(clients) == 1 && clients[0] == clientsVerified && isTrue(m, "connection.mtls") {
		certificate = attribute(m, "connection.sha256_peer_certificate_digest")
		if id := attribute(m, "connection.uri_san_peer_certificate"); id != "" {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, ", "), certificate
}

func isTrue(m *extprocv3.ProcessingRequest, name string) bool {
	return m.GetAttributes()[attributesKey].GetFields()[name].GetBoolValue()
}
