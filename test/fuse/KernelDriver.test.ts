/** The driver that speaks the kernel's protocol itself, in both its ways to wait for requests. */
import { fuseDriverSuite } from "../conformance/fuseDriverSuite.ts"

fuseDriverSuite({ driver: "kernel" })

fuseDriverSuite({ driver: "kernel-pool" })
