//! How the kernels for vectors divide an image.

use super::vector_pairs::Strips;
use super::vector_rows::Blocks;
use crate::bit_width::BitWidth;
use crate::shape::{Shape, Window};

const fn window(kernel: u8, stride: u8) -> Window {
    Window {
        kernel_height: kernel,
        kernel_width: kernel,
        stride_height: stride,
        stride_width: stride,
        padding_top: kernel / 2,
        padding_left: kernel / 2,
    }
}

const fn shape(side: u16, channels: u16) -> Shape {
    Shape { height: side, width: side, channels }
}

#[test]
fn the_convolutions_of_resnet8_need_at_most_1920_bytes() {
    for (side, channels) in [(32, 16), (16, 32), (8, 64)] {
        for bit_width in BitWidth::ALL {
            let image = shape(side, channels);
            let strips = Strips::new(window(3, 1), bit_width, image, image);
            assert_eq!(strips.pixels, usize::from(side));
            assert!(strips.bytes <= 1_920 + 32, "{strips:?}");
        }
    }
    let strips = Strips::new(window(1, 2), BitWidth::Two, shape(16, 32), shape(8, 64));
    assert!(strips.direct && strips.bytes == 0);
}

#[test]
fn strips_and_blocks_of_any_shape_hold_at_least_one_pixel() {
    for kernel in [0, 1, 3, 5, 255] {
        for stride in [0, 1, 2, 255] {
            for (side, channels) in [(1, 1), (5, 3), (300, 65_535)] {
                let image = shape(side, channels);
                let strips = Strips::new(window(kernel, stride), BitWidth::Two, image, image);
                assert!(strips.direct || strips.pixels >= 1);
                if let Some(blocks) = Blocks::new(window(kernel, stride), image, image) {
                    assert!(blocks.rows * blocks.columns >= 1);
                    assert!(blocks.pixels >= blocks.rows * blocks.columns);
                }
            }
        }
    }
}

#[test]
fn blocks_fill_their_octets() {
    let blocks = |side, channels, stride, output| {
        Blocks::new(window(3, stride), shape(side, channels), shape(output, channels)).unwrap()
    };
    for blocks in
        [blocks(5, 64, 1, 5), blocks(6, 128, 1, 6), blocks(48, 16, 2, 24), blocks(48, 8, 1, 48)]
    {
        assert!(blocks.bytes < 2_600, "{blocks:?}");
        let used = blocks.rows * blocks.columns;
        assert!(16 * used >= 15 * blocks.pixels, "{blocks:?}");
    }
}
