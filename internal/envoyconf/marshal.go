package envoyconf

import (
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	chainPath   = "$.static_resources.listeners[0].filter_chains[0]"
	managerPath = chainPath + ".filters[0].typed_config"
	extprocPath = managerPath + ".http_filters[0].typed_config"
	routePath   = managerPath + ".route_config.virtual_hosts[0]"
)

// comments say beside the settings why they are as they are.
var comments = map[string][]string{
	extprocPath + ".processing_mode": {
		" failure_mode_allow stays false, which is the default: without Plumbline nothing passes.",
		" BUFFERED holds the request's headers back until the whole prompt was judged.",
	},
	extprocPath + ".grpc_service.initial_metadata": {
		" What Plumbline is told of every caller of this listener, and believes. Callers cannot send it.",
	},
	chainPath + ".transport_socket": {
		" Each caller must show a certificate, and the authorities and the trust domain must be right: without any of the three",
		" Plumbline would believe what callers say of themselves.",
	},
	extprocPath + ".message_timeout":         {" Plumbline answers 300ms before this passes; its extproc.message_timeout must be the same."},
	extprocPath + ".mutation_rules":          {" A change that Plumbline may not make fails the request instead of being dropped."},
	extprocPath + ".status_on_error":         {" What a caller gets when Plumbline fails; local_reply_config gives it OpenAI's shape."},
	routePath + ".routes[0].route":           {" No limit on the whole exchange, which would cut event streams, and no retries: a POST costs money."},
	routePath + ".request_body_buffer_limit": {" The largest request body in bytes. Above it callers get 413."},
	managerPath + ".use_remote_address": {
		" Callers' x-envoy- headers could switch on retries. They are removed, and no caller is trusted by its address:",
		" an empty internal_address_config would trust private networks and loopback.",
	},
	managerPath + ".early_header_mutation_extensions": {" Headers with which a caller could pass for somebody else or steer Envoy."},
	managerPath + ".normalize_path":                   {" One path has one spelling, or Plumbline and the provider could read different ones."},
	managerPath + ".local_reply_config": {
		" Replies that Envoy makes by itself, in OpenAI's shape. Plumbline's own have the details \"plumbline\".",
	},
	"$.static_resources.clusters[0].transport_socket": {" Without authority and name Envoy would accept any certificate."},
	"$.static_resources.clusters[1].circuit_breakers": {" Each open event stream holds one request in both clusters. Envoy's default is 1024."},
}

// marshal gives m as YAML, with fields in the order of Envoy's own definition, written by a command. Comments on what m does
// not have are left out.
func marshal(m proto.Message, command string) ([]byte, error) {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var tree yaml.MapSlice // keeps the order
	if err := yaml.UnmarshalWithOptions(data, &tree, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	heads := yaml.CommentMap{"$.static_resources": {yaml.HeadComment(
		" An Envoy that has Plumbline judge each exchange before anything reaches the provider.",
		" Written by `plumbline envoy-config "+command+"`. Whatever fails, nothing passes unseen.",
	)}}
	for path, lines := range comments {
		heads[path] = []*yaml.Comment{yaml.HeadComment(lines...)}
	}
	return yaml.MarshalWithOptions(tree, yaml.WithComment(heads))
}
