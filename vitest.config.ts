import { defineConfig } from "vitest/config"

export default defineConfig({
  resolve: { conditions: ["development"] },
  ssr: { resolve: { conditions: ["development"] } },
  test: {
    include: ["test/**/*.test.ts", "property-tests/**/*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    globalSetup: "test/e2e/program.ts",
    setupFiles: "test/seed.ts",
    maxWorkers: 3
  }
})
