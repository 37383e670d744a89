// The names of axes with the mesh dimensions that split them.

/** emb_dim/tp; the names alone where nothing is split. */
export function splitNames(dims: readonly string[], splitBy: readonly (readonly string[])[] = []): string[] {
  return dims.map((name, at) => [name, ...(splitBy[at] ?? [])].join("/"));
}
