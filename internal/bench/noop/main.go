// Command noop is an ext_proc server that answers every message by its own type and does nothing: the ceiling of what
// any server of this protocol can reach, beside which the benchmark puts Plumbline.
//
//	go run ./internal/bench/noop --socket /tmp/noop.sock
//
// It must not import anything of Plumbline, which it is compared with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// receiveLimit is the largest message: the largest body that envoyconf lets through and 1 MiB for the rest.
const receiveLimit = 33 << 20

func main() {
	socket := flag.String("socket", "", "Unix socket to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *socket); err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1) //nolint:gocritic // stop only resets the signals' handling
	}
}

func run(ctx context.Context, socket string) error {
	if socket == "" {
		return errors.New("--socket is missing")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(receiveLimit),
		grpc.MaxConcurrentStreams(1<<20),
	)
	extprocv3.RegisterExternalProcessorServer(server, processor{})
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

type processor struct {
	extprocv3.UnimplementedExternalProcessorServer
}

// Process answers until Envoy ends the stream.
func (processor) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		response := reply(request)
		if response == nil {
			return errors.New("a message of unknown type")
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// The replies are shared: they are never written.
var (
	requestHeaders   = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{}}
	requestBody      = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{}}
	requestTrailers  = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{}}
	responseHeaders  = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{}}
	responseBody     = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{}}
	responseTrailers = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{}}
)

func reply(request *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	switch request.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return requestHeaders
	case *extprocv3.ProcessingRequest_RequestBody:
		return requestBody
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return requestTrailers
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return responseHeaders
	case *extprocv3.ProcessingRequest_ResponseBody:
		return responseBody
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return responseTrailers
	}
	return nil
}
