// The views by name.
import { attention } from "./attention";
import { failure } from "./failure";
import { lens } from "./lens";
import { loss } from "./loss";
import { map } from "./map";
import { mesh } from "./mesh";
import { stream } from "./stream";
import { table } from "./table";
import type { View, ViewName } from "./view";
import { why } from "./why";

export const VIEWS: Record<ViewName, View> = { map, why, attention, lens, stream, loss, table, failure, mesh };
