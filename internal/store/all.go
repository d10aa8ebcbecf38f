package store

import "context"

// All reads a table to its end, page by page. id gives that of an object, which the pages are ordered by.
func All[T any](ctx context.Context, from Table[T], id func(T) string) ([]T, error) {
	all := []T{}
	for page := (Page{Limit: 500}); ; {
		some, err := from.List(ctx, page)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < page.Limit {
			return all, nil
		}
		page.After = id(some[len(some)-1])
	}
}
