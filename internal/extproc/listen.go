package extproc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// receiveHeadroom is added to the largest body for the rest of a gRPC message.
const receiveHeadroom = 1 << 20

// streamWorkers are goroutines that take one exchange after another. More exchanges than these at a time each get a
// goroutine of their own.
const streamWorkers = 256

// Listener serves ext_proc and gRPC health on one address.
type Listener struct {
	server *Server
	grpc   *grpc.Server
	health *health.Server
	net    net.Listener
}

// ListenOptions say where to listen.
type ListenOptions struct {
	// Socket is the path of a Unix socket. Whoever can open it can have the provider key, so its mode is part of it.
	Socket string
	Mode   fs.FileMode
	// Address is a TCP address in place of the socket.
	Address string
	// MaxBody is the largest request body, in bytes.
	MaxBody int64
}

// Listen opens the address. The socket file of a Plumbline that died is replaced; that of a living one is an error.
func (s *Server) Listen(ctx context.Context, o ListenOptions) (*Listener, error) {
	lis, err := listen(ctx, o)
	if err != nil {
		return nil, err
	}
	l := &Listener{server: s, net: lis, health: health.NewServer()}
	l.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(int(o.MaxBody)+receiveHeadroom),
		// Envoy holds one connection for all of its streams. grpc-go's own rules would end it for pinging too often or,
		// with a MaxConnectionAge, cut long streams.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		// An Envoy that vanished behind a network holds reservations until it is missed.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute}),
		grpc.MaxConcurrentStreams(1<<20),
		// An exchange needs a deep stack, which a new goroutine would grow into again each time.
		grpc.NumStreamWorkers(streamWorkers),
	)
	extprocv3.RegisterExternalProcessorServer(l.grpc, s)
	grpc_health_v1.RegisterHealthServer(l.grpc, l.health)
	return l, nil
}

func listen(ctx context.Context, o ListenOptions) (net.Listener, error) {
	var config net.ListenConfig
	if o.Socket == "" {
		lis, err := config.Listen(ctx, "tcp", o.Address)
		if err != nil {
			return nil, fmt.Errorf("ext_proc cannot listen on %s (extproc.address): %w", o.Address, err)
		}
		return lis, nil
	}
	if err := removeDeadSocket(ctx, o.Socket); err != nil {
		return nil, err
	}
	// The socket must never be open to others, not even before its mode is set.
	old := syscall.Umask(0o177)
	lis, err := config.Listen(ctx, "unix", o.Socket)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("ext_proc cannot listen on %s (extproc.socket): %w", o.Socket, err)
	}
	if err := os.Chmod(o.Socket, o.Mode); err != nil {
		lis.Close()
		return nil, fmt.Errorf("setting the mode of %s: %w", o.Socket, err)
	}
	return lis, nil
}

func removeDeadSocket(ctx context.Context, path string) error {
	var dialer net.Dialer
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is no socket; move it away or set extproc.socket", path)
	}
	c, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another Plumbline serves on %s; stop it or set extproc.socket", path)
	case !errors.Is(err, syscall.ECONNREFUSED): // nobody listens only if the system says so
		return fmt.Errorf("%s exists and may be in use; remove it or set extproc.socket: %w", path, err)
	}
	return os.Remove(path)
}

// Serve answers Envoy until ctx ends; then it reports NOT_SERVING, lets open streams finish for grace and resets the
// rest, since a clean end would let their answers pass un-metered.
func (l *Listener) Serve(ctx context.Context, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- l.grpc.Serve(l.net) }()
	select {
	case err := <-served:
		if err != nil {
			err = fmt.Errorf("ext_proc: %w", err)
		}
		return err
	case <-ctx.Done():
	}
	l.health.Shutdown()
	finished := make(chan struct{})
	go func() { l.grpc.GracefulStop(); close(finished) }()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C:
		l.server.Drain()
		l.grpc.Stop()
		<-finished
	}
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("ext_proc: %w", err)
	}
	return nil
}

// Address is the socket's path, or the TCP address.
func (l *Listener) Address() string { return l.net.Addr().String() }

// Close ends a listener that does not serve any more, or never did.
func (l *Listener) Close() { l.grpc.Stop(); l.net.Close() }

// SetServing sets what gRPC health reports.
func (l *Listener) SetServing(serving bool) {
	state := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if serving {
		state = grpc_health_v1.HealthCheckResponse_SERVING
	}
	l.health.SetServingStatus("", state)
	l.health.SetServingStatus(extprocv3.ExternalProcessor_ServiceDesc.ServiceName, state)
}
