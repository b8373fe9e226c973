"""The node software of GPU nodes: from bare to validated in order, upgraded without hurting who computes, and gone again."""
