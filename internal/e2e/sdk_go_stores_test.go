package e2e

import (
	"context"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/pagination"
)

// stores makes a call of vector stores, and reports whether it is one.
func (g *goCall) stores() bool {
	s := &g.client.VectorStores
	switch g.call.Method {
	case "vectorStores.create":
		goMake(g, s.New)
	case "vectorStores.list":
		goMake(g, func(ctx context.Context, p openai.VectorStoreListParams, o ...option.RequestOption) (*pagination.CursorPage[openai.VectorStore], error) {
			return s.List(ctx, p, o...)
		})
	case "vectorStores.retrieve":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.VectorStore, error) {
			return s.Get(ctx, g.call.Args[0], o...)
		})
	case "vectorStores.update":
		goMake(g, func(ctx context.Context, p openai.VectorStoreUpdateParams, o ...option.RequestOption) (*openai.VectorStore, error) {
			return s.Update(ctx, g.call.Args[0], p, o...)
		})
	case "vectorStores.delete":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.VectorStoreDeleted, error) {
			return s.Delete(ctx, g.call.Args[0], o...)
		})
	case "vectorStores.search":
		goMake(g, func(ctx context.Context, p openai.VectorStoreSearchParams, o ...option.RequestOption) (*pagination.Page[openai.VectorStoreSearchResponse], error) {
			return s.Search(ctx, g.call.Args[0], p, o...)
		})
	default:
		return g.inStores()
	}
	return true
}

// inStores makes a call of the files and batches in a vector store, which the client takes first and the others by name.
func (g *goCall) inStores() bool {
	s := &g.client.VectorStores
	store, _ := g.call.Body["vector_store_id"].(string)
	switch g.call.Method {
	case "vectorStores.files.create":
		goMake(g, func(ctx context.Context, p openai.VectorStoreFileNewParams, o ...option.RequestOption) (*openai.VectorStoreFile, error) {
			return s.Files.New(ctx, g.call.Args[0], p, o...)
		})
	case "vectorStores.files.retrieve":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.VectorStoreFile, error) {
			return s.Files.Get(ctx, store, g.call.Args[0], o...)
		})
	case "vectorStores.files.content":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*pagination.Page[openai.VectorStoreFileContentResponse], error) {
			return s.Files.Content(ctx, store, g.call.Args[0], o...)
		})
	case "vectorStores.files.delete":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.VectorStoreFileDeleted, error) {
			return s.Files.Delete(ctx, store, g.call.Args[0], o...)
		})
	case "vectorStores.fileBatches.create":
		goMake(g, func(ctx context.Context, p openai.VectorStoreFileBatchNewParams, o ...option.RequestOption) (*openai.VectorStoreFileBatch, error) {
			return s.FileBatches.New(ctx, g.call.Args[0], p, o...)
		})
	case "vectorStores.fileBatches.retrieve":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.VectorStoreFileBatch, error) {
			return s.FileBatches.Get(ctx, store, g.call.Args[0], o...)
		})
	default:
		return false
	}
	return true
}
