/** storeRoutes: all calls on datastores. */
import * as downloadRoutes from "./downloadRoutes.ts"
import * as listingRoutes from "./listingRoutes.ts"
import * as noteRoutes from "./noteRoutes.ts"
import * as removalRoutes from "./removalRoutes.ts"
import type { Entry } from "./Router.ts"
import type * as StoreCall from "./StoreCall.ts"

export type Needs = StoreCall.Needs

export const routes: ReadonlyArray<Entry<Needs>> = [
  ...listingRoutes.routes,
  ...noteRoutes.routes,
  ...removalRoutes.routes,
  ...downloadRoutes.routes
]
