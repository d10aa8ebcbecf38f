package redisproc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// slots is how many a cluster has.
const slots = 16384

// Cluster is a running Redis Cluster of primaries.
type Cluster struct {
	Nodes []*Server
}

// StartCluster starts a cluster of n primaries and waits until all of them say that it is whole.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range n {
		c.Nodes = append(c.Nodes, StartTCP(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", fmt.Sprint(freePort(t)), "--cluster-node-timeout", "60000"))
	}
	for i, node := range c.Nodes {
		node.Do(t, "cluster", "set-config-epoch", i+1)
		node.Do(t, "cluster", "addslotsrange", i*slots/n, (i+1)*slots/n-1)
		if i > 0 {
			host, port, _ := net.SplitHostPort(c.Nodes[0].Addr)
			bus := c.Nodes[0].args[len(c.Nodes[0].args)-3]
			node.Do(t, "cluster", "meet", host, port, bus)
		}
	}
	for _, node := range c.Nodes {
		node.awaitCluster(t, n)
	}
	return c
}

// Addrs gives what clients dial.
func (c *Cluster) Addrs() []string {
	var all []string
	for _, n := range c.Nodes {
		all = append(all, n.Addr)
	}
	return all
}

// awaitCluster returns once the node knows n nodes that serve all slots.
func (s *Server) awaitCluster(t testing.TB, n int) {
	t.Helper()
	client := s.Client()
	defer func() { _ = client.Close() }()
	var info string
	for end := time.Now().Add(startLimit); time.Now().Before(end); <-time.After(pollPause) {
		info = client.ClusterInfo(context.Background()).Val()
		if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", n)) {
			return
		}
	}
	t.Fatalf("the cluster does not come together:\n%s\n%s", info, s.Log())
}
